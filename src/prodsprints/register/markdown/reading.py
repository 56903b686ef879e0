"""What was read of one risk, made a value; what is missing or cannot be meant becomes a problem with its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from prodsprints.register.errors import RegisterError
from prodsprints.register.markdown import grammar
from prodsprints.register.markdown.blocks import Item
from prodsprints.register.markdown.grammar import Field
from prodsprints.register.markdown.text import plain
from prodsprints.register.markdown.values import ParsedRisk, ParsedRow, Place
from prodsprints.register.model import Category, Claim
from prodsprints.register.rating import Level, Probability

_MOST_ROWS = 200
_LONGEST_ROW = 1_000
_LONGEST_TITLE = 120
_LONGEST_TEXT = 2_000
_BY_LETTER = {"R": Category.TECHNICAL, "S": Category.SECURITY, "O": Category.OPERATIONAL, "B": Category.BUSINESS}
_ON_THE_SCALE = re.compile(r"\d|likely|possible", re.IGNORECASE)


@dataclass(frozen=True)
class Raw:
    """A risk as its words stand in the document; `line` counts from 0."""

    line: int
    label: str
    title: str
    fields: dict[Field, str]
    place: Place
    items: Sequence[Item]


@dataclass(frozen=True)
class Section:
    """What the headings above a risk say of it."""

    level: Level | None = None
    category: Category | None = None
    words: str = ""


@dataclass
class Reading:
    """What one reading has found to complain of: `problems` end it, `warnings` are told beside the result."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def problem(self, line: int, words: str) -> None:
        """Something at `line`, from 0, that has to be corrected first."""
        self.problems.append(f"line {line + 1}: {words}")

    def warn(self, line: int, words: str) -> None:
        """Something at `line`, from 0, that was read in one of several possible ways, or not at all."""
        self.warnings.append(f"line {line + 1}: {words}")

    def risk(self, raw: Raw, section: Section) -> ParsedRisk | None:
        """The risk that `raw` is, or None after its problems were noted."""
        called = repr(raw.label or plain(raw.title)[:40])
        level = self._level(raw, section)
        if level is None:
            self.problem(raw.line, f"{called} has no level; put it below a heading such as `### HIGH RISKS`.")
        probability = self._probability(raw, called)
        rows = self._rows(raw, called)
        if level is None or probability is None:
            return None
        return ParsedRisk(
            label=raw.label,
            title=_shortened(plain(raw.title), _LONGEST_TITLE) or raw.label,
            category=self._category(raw, section),
            level=level,
            probability=probability,
            description=_shortened(plain(raw.fields.get(Field.DESCRIPTION, "")), _LONGEST_TEXT),
            impact=_shortened(plain(raw.fields.get(Field.IMPACT, "")), _LONGEST_TEXT),
            owner=_shortened(plain(raw.fields.get(Field.OWNER, "")), _LONGEST_TITLE),
            place=raw.place,
            rows=rows,
        )

    def _level(self, raw: Raw, section: Section) -> Level | None:
        given = raw.fields.get(Field.LEVEL, "")
        impact = raw.fields.get(Field.IMPACT, "")  # a matrix of impact and likelihood says `Impact: High`
        words = [given, impact if len(impact.split()) <= 2 else ""]
        return next((level for text in words if (level := grammar.level(text))), section.level)

    def _probability(self, raw: Raw, called: str) -> Probability | None:
        given = raw.fields.get(Field.PROBABILITY, "")
        try:
            found = grammar.probability(given)
        except RegisterError as error:
            self.problem(raw.place.line, f"the probability of {called}: {error.what}")
            return None
        if found is None:
            what = f"{plain(given)[:40]!r} is no probability" if given else f"{called} has no probability"
            self.problem(raw.place.line, f"{what}; write `**Probability**: Likely (4)`, from 1 to 5.")
        elif not _ON_THE_SCALE.search(given):
            self.warn(raw.place.line, f"{plain(given)[:40]!r} is read as {found.words.lower()} ({int(found)}).")
        return found

    def _category(self, raw: Raw, section: Section) -> Category:
        if section.category:
            return section.category
        by_letter = _BY_LETTER.get(raw.label[:1]) if re.fullmatch(r"[A-Z][-_]?\d+", raw.label) else None
        if by_letter is None:
            self.warn(raw.line, "no heading gives a category; it stands under operational.")
        return by_letter or Category.OPERATIONAL

    def _rows(self, raw: Raw, called: str) -> tuple[ParsedRow, ...]:
        if len(raw.items) > _MOST_ROWS:
            self.problem(raw.line, f"{called} has more than {_MOST_ROWS} mitigations.")
        if not raw.items:
            self.warn(raw.line, f"{called} has no mitigation.")
        rows = []
        for item in raw.items[:_MOST_ROWS]:
            words = plain(item.words)
            if not words:
                self.warn(item.place.line, "a mitigation without words; left out.")
                continue
            if len(words) > _LONGEST_ROW:
                self.problem(item.place.line, f"a mitigation is longer than {_LONGEST_ROW} characters.")
            if item.claim is None:
                self.warn(
                    item.place.line, "claims nothing (`Implemented`, `Ongoing`, `Planned`, `[x]`); read as planned."
                )
            rows.append(ParsedRow(item.claim or Claim.PLANNED, words, item.place))
        return tuple(rows)


def _shortened(words: str, longest: int) -> str:
    return words if len(words) <= longest else words[: longest - 1].rstrip() + "…"
