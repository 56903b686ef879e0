"""Reads a Markdown document of the specification's shape as claims; what it cannot read it names by its line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from prodsprints.register.errors import NotARiskDocumentError, RegisterError
from prodsprints.register.markdown import blocks, grammar, notes, tables
from prodsprints.register.markdown.grammar import Field, Heading
from prodsprints.register.markdown.reading import Raw, Reading, Section
from prodsprints.register.markdown.text import lines_of, plain
from prodsprints.register.markdown.values import ParsedDocument, ParsedRisk, Place

_MOST_RISKS = 1_000
_MOST_SHOWN = 20
_OF_THE_DOCUMENT = (Field.LAST_UPDATED, Field.NEXT_REVIEW, Field.OWNER, Field.SPONSOR, Field.STATUS)


def parse(raw: str | bytes) -> ParsedDocument:
    """The claims of a risk document, and its whole text.

    Its encoding is repaired. Statuses and the closing line, also those of an earlier export, are taken out: they are
    never imported as truth. Raises NotARiskDocumentError if it holds no risk, RegisterError with every line that needs
    correction.
    """
    lines = [notes.without(line) for line in lines_of(raw)]
    reading = Reading()
    scan = _Scan(lines, reading)
    scan.run()
    _refuse_doubles(scan.risks, reading)
    if reading.problems:
        raise _refused(reading.problems)
    if not scan.risks:
        _refuse_other_documents(scan)
    closing = scan.place(Field.STATUS)
    if closing is not None:
        lines[closing.line] = grammar.without_value(lines[closing.line])
        closing = Place(closing.line, len(lines[closing.line]))
    return ParsedDocument(
        text="\n".join(lines),
        risks=tuple(risk for _, risk in scan.risks),
        owner=scan.value(Field.OWNER),
        executive_sponsor=scan.value(Field.SPONSOR),
        last_updated=grammar.day(scan.value(Field.LAST_UPDATED)),
        next_review=grammar.day(scan.value(Field.NEXT_REVIEW)),
        closing=closing,
        warnings=tuple(reading.warnings),
    )


class _Scan:
    """One walk over a document's lines, from heading to heading."""

    def __init__(self, lines: Sequence[str], reading: Reading) -> None:
        self.lines = lines
        self.risks: list[tuple[int, ParsedRisk]] = []
        self.code = _code(lines)
        self.headings: list[tuple[int, Heading]] = [
            (number, heading)
            for number, line in enumerate(lines)
            if number not in self.code and (heading := grammar.heading(line))
        ]
        self._reading = reading
        self._told: dict[Field, tuple[Place, str]] = {}
        self._sections: list[tuple[int, Section]] = []

    def run(self) -> None:
        """Read everything, from the first line to the last."""
        number = 0
        while number < len(self.lines):
            heading = None if number in self.code else grammar.heading(self.lines[number])
            number = self._heading(number, heading) if heading else self._other(number)

    def value(self, field: Field) -> str:
        """What the document says of itself."""
        return plain(self._told[field][1])[:120] if field in self._told else ""

    def place(self, field: Field) -> Place | None:
        """Where it says that."""
        return self._told[field][0] if field in self._told else None

    def _heading(self, number: int, heading: Heading) -> int:
        self._sections = [entry for entry in self._sections if entry[0] < heading.depth]
        end = self._end_of_block(number, heading)
        block = blocks.read(self.lines, number + 1, end, self.code)
        label, title = grammar.label(heading.words)
        if block.is_risk or (label and (block.fields.keys() & blocks.TELLING or block.rows)):
            place = block.places.get(Field.PROBABILITY) or Place(number, len(self.lines[number].rstrip()))
            section = self._section(heading.words, is_risk=True)
            self._add(Raw(number, label, title, block.fields, place, block.rows), section)
            return end
        if label:
            self._reading.warn(number, f"{label} has neither a probability nor a mitigation; left as prose.")
        self._sections.append((heading.depth, self._section(heading.words)))
        return number + 1

    def _end_of_block(self, start: int, heading: Heading) -> int:
        for number in range(start + 1, len(self.lines)):
            if number in self.code:
                continue
            if grammar.is_break(self.lines[number]):
                return number
            next_one = grammar.heading(self.lines[number])
            if next_one and not (next_one.depth > heading.depth and grammar.column(next_one.words)):
                return number
        return len(self.lines)

    def _section(self, words: str, *, is_risk: bool = False) -> Section:
        above = self._sections[-1][1] if self._sections else Section()
        level = grammar.level_of_risk(words) if is_risk else grammar.level_of_section(words)
        category = None if is_risk else grammar.category(words)
        return Section(level or above.level, category or above.category)

    def _other(self, number: int) -> int:
        if number in self.code:
            return number + 1
        if tables.is_start(self.lines, number, len(self.lines)):
            end = number + tables.length(self.lines, number, len(self.lines))
            for raw in tables.risks(self.lines, number, end):
                self._add(raw, self._section(""))
            return end
        line = self.lines[number]
        field, value = grammar.field(line)
        is_meant = field in _OF_THE_DOCUMENT and grammar.item(line) is None
        if is_meant and (field is not Field.STATUS or grammar.says_how_things_stand(value)):
            self._told[field] = (Place(number, len(line.rstrip())), value)
        return number + 1

    def _add(self, raw: Raw, section: Section) -> None:
        if len(self.risks) >= _MOST_RISKS:
            raise RegisterError(
                f"The document holds more than {_MOST_RISKS} risks.", next_step="Keep one that people can read."
            )
        risk = self._reading.risk(raw, section)
        if risk is not None:
            self.risks.append((raw.line, risk))


def _code(lines: Sequence[str]) -> frozenset[int]:
    inside: set[int] = set()
    opened, first = "", 0
    for number, line in enumerate(lines):
        fence = grammar.fence(line)
        if not opened and fence:
            opened, first = fence, number
        elif opened and fence.startswith(opened) and line.strip() == fence:
            inside.update(range(first, number + 1))
            opened = ""
    if opened:  # a fence that is never closed: the rest is code, as every reader of Markdown has it
        inside.update(range(first, len(lines)))
    return frozenset(inside)


def _refuse_doubles(risks: Sequence[tuple[int, ParsedRisk]], reading: Reading) -> None:
    seen: dict[str, int] = {}
    for line, risk in risks:
        if risk.id and risk.id in seen:
            reading.problem(line, f"{risk.label} is already the id of the risk in line {seen[risk.id] + 1}.")
        seen.setdefault(risk.id, line)


def _refused(problems: Sequence[str]) -> RegisterError:
    more = len(problems) - _MOST_SHOWN
    shown = [*problems[:_MOST_SHOWN], *([f"and {more} more."] if more > 0 else [])]
    return RegisterError("\n".join(shown), next_step="Correct the lines named; nothing was imported.")


def _refuse_other_documents(scan: _Scan) -> NoReturn:
    seen = [f"line {number + 1}: {plain(heading.words)[:60]!r}" for number, heading in scan.headings[:_MOST_SHOWN]]
    raise NotARiskDocumentError(
        "No risk was found in this document.",
        why="Looked for headings such as `#### R001: What can go wrong`, each with `**Probability**: Likely (4)` "
        "and a list of mitigations, and for tables with a column `Probability`. "
        + (f"These headings have neither: {'; '.join(seen)}." if seen else "It has no headings at all."),
        next_step="Give it a document of that shape; nothing was imported.",
    )
