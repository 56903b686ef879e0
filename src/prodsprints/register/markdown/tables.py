"""Tables in which each line is a risk: read by the names of their columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from prodsprints.register.markdown import grammar
from prodsprints.register.markdown.blocks import Item
from prodsprints.register.markdown.grammar import Field
from prodsprints.register.markdown.reading import Raw
from prodsprints.register.markdown.values import Place

_RULE = re.compile(r"^\s*\|?\s*:?-{1,}:?\s*(?:\|\s*:?-{1,}:?\s*)*\|?\s*$")
_CELL = re.compile(r"(?:\\.|[^|\\])+")
_PART = re.compile(r"<br\s*/?>|;", re.IGNORECASE)


def is_start(lines: Sequence[str], number: int, end: int) -> bool:
    """Does a table begin at this line, its head, with a rule below it?"""
    return (
        "|" in lines[number] and number + 1 < end and "|" in lines[number + 1] and bool(_RULE.match(lines[number + 1]))
    )


def length(lines: Sequence[str], start: int, end: int) -> int:
    """How many lines the table at `start` has."""
    stop = start
    while stop < end and "|" in lines[stop]:
        stop += 1
    return stop - start


def risks(lines: Sequence[str], start: int, end: int) -> Iterator[Raw]:
    """The risks of a table; nothing if it is a table of something else."""
    columns = [grammar.column(words) for words, _ in _cells(lines[start])]
    if Field.PROBABILITY not in columns or not {Field.TITLE, Field.DESCRIPTION, Field.ID} & set(columns):
        return
    for number in range(start + 2, end):
        fields: dict[Field, str] = {}
        places: dict[Field, int] = {}
        for column, (words, offset) in zip(columns, _cells(lines[number]), strict=False):
            fields.setdefault(column, words.strip())
            places.setdefault(column, offset)
        fields.pop(Field.UNKNOWN, None)
        if any(fields.values()):
            yield _raw(number, fields, places)


def _raw(number: int, fields: dict[Field, str], places: dict[Field, int]) -> Raw:
    told = fields.get(Field.TITLE) or fields.get(Field.DESCRIPTION, "")
    label, title = grammar.label(fields[Field.ID]) if fields.get(Field.ID) else grammar.label(told)
    plan = fields.get(Field.MITIGATION, "")
    column = places.get(Field.PROBABILITY, 0)
    return Raw(
        line=number,
        label=label,
        title=told if fields.get(Field.ID) else title,
        fields=fields,
        place=Place(number, column + len(fields.get(Field.PROBABILITY, ""))),
        items=list(_items(number, places.get(Field.MITIGATION, 0), plan)),
    )


def _cells(line: str) -> Iterator[tuple[str, int]]:
    # each cell's words and the column where they begin
    body = line.rstrip().removesuffix("|")
    start = len(line) - len(line.lstrip().removeprefix("|"))
    for found in re.finditer(r"(?:\\.|[^|\\])*(?:\||$)", body[start:]):
        words = found.group().removesuffix("|")
        if found.end() == found.start():
            return
        yield words.strip(), start + found.start() + len(words) - len(words.lstrip())


def _items(number: int, offset: int, plan: str) -> Iterator[Item]:
    start = 0
    for separator in [*_PART.finditer(plan), None]:
        end = separator.start() if separator else len(plan)
        text = plan[start:end]
        if text.strip(" -*•"):
            claim, words = grammar.claim(re.sub(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+", "", text))
            yield Item(0, claim, words, Place(number, offset + start + len(text.rstrip())))
        start = separator.end() if separator else end
