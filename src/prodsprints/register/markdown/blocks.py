"""One risk's part of a document: the heading, its labelled lines and its list of mitigations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prodsprints.register.markdown import grammar
from prodsprints.register.markdown.grammar import Field
from prodsprints.register.markdown.values import Place
from prodsprints.register.model import Claim

TELLING = {Field.DESCRIPTION, Field.IMPACT, Field.PROBABILITY, Field.LEVEL, Field.MITIGATION}
_TEXTS = {Field.DESCRIPTION, Field.IMPACT, Field.PROBABILITY, Field.LEVEL, Field.OWNER}


@dataclass
class Item:
    """One item of a list, as it stands: nested by `indent`, claiming something or not."""

    indent: int
    claim: Claim | None
    words: str
    place: Place


@dataclass
class Block:
    """What was found below one heading; `places` says where each field's value ends."""

    fields: dict[Field, str] = field(default_factory=dict)
    places: dict[Field, Place] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)

    @property
    def is_risk(self) -> bool:
        """Has it so much of a risk that it must be one?"""
        told = TELLING & set(self.fields)
        return len(told) >= 2 and bool(told & {Field.PROBABILITY, Field.MITIGATION})

    @property
    def rows(self) -> list[Item]:
        """The items that are mitigations: neither a detail of one nor a heading of several."""
        return list(_rows(self.items))


def read(lines: Sequence[str], start: int, end: int, code: frozenset[int]) -> Block:
    """The block of the lines from `start` to before `end`; `code` are the lines that stand in code blocks."""
    block = Block()
    current = Field.UNKNOWN
    gap = False
    for number in range(start, end):
        line = lines[number]
        if number in code:
            current = Field.UNKNOWN if current in _TEXTS else current
            gap = True
        elif not line.strip():
            gap = True
        elif heading := grammar.heading(line):
            current, gap = grammar.column(heading.words), False
            if current:
                block.fields.setdefault(current, "")
        else:
            current = _line(block, current, number, line, gap)
            gap = False
    return block


def _line(block: Block, current: Field, number: int, line: str, gap: bool) -> Field:
    place = Place(number, len(line.rstrip()))
    name, value = grammar.field(line)
    if name and name not in block.fields:
        block.fields[name], block.places[name] = value, place
        if name is Field.MITIGATION and value:
            _add(block, -1, value, place)
        return name
    item = grammar.item(line)
    if item is not None:
        claim, _ = grammar.claim(item)
        if current is Field.MITIGATION or claim:
            _add(block, grammar.indent(line), item, place)
            return Field.MITIGATION
        return current
    if current is Field.MITIGATION and block.items and not gap and grammar.indent(line) > block.items[-1].indent:
        last = block.items[-1]
        last.words, last.place = f"{last.words} {line.strip()}", place
    elif current in _TEXTS and (not gap or not block.fields[current]):
        block.fields[current] = f"{block.fields[current]} {line.strip()}".strip()
        block.places[current] = place
    elif current is Field.MITIGATION and not block.items:
        _add(block, -1, line, place)
    elif gap and current in _TEXTS:
        return Field.UNKNOWN
    return current


def _add(block: Block, indent: int, text: str, place: Place) -> None:
    claim, words = grammar.claim(text)
    block.items.append(Item(indent, claim, words, place))


def _rows(items: Sequence[Item]) -> Iterator[Item]:
    top: Item | None = None  # the item that the deeper ones after it belong to
    for index, item in enumerate(items):
        is_nested = top is not None and item.indent > top.indent
        if not is_nested:
            top = item
        if item.claim is None and (is_nested or _has_claims_below(items, index)):
            continue
        yield item


def _has_claims_below(items: Sequence[Item], index: int) -> bool:
    for item in items[index + 1 :]:
        if item.indent <= items[index].indent:
            return False
        if item.claim is not None:
            return True
    return False
