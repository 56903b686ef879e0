"""A document's claims as a register: rows that say what ours say are joined to our controls, all others stand alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from prodsprints.register.errors import RegisterError
from prodsprints.register.markdown.text import comparable
from prodsprints.register.markdown.values import ParsedDocument, ParsedRisk, ParsedRow
from prodsprints.register.model import Cadence, Document, Kind, Mitigation, Part, Risk
from prodsprints.register.rating import Level
from prodsprints.register.register import Register

_NOBODY = "nobody named"
_LONGEST_TITLE = 120
_MOST_ROWS = 999  # what a row's id has room for
_UNLABELLED = "X"
_FIRST_REVIEW = timedelta(days=31)


@dataclass(frozen=True)
class Numbers:
    """Which ids were given out: a risk without a label keeps its id by its title, a row its number by its words.

    A number is never given to other words, so that a signature for one row can never come to speak for another.
    """

    risks: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {"risks": dict(self.risks), "rows": {risk: dict(rows) for risk, rows in self.rows.items()}}


@dataclass(frozen=True)
class Source:
    """A document and the register made of it: risk by risk and row by row in the same order."""

    document: ParsedDocument
    register: Register
    numbers: Numbers
    joined: int
    warnings: tuple[str, ...]


def join(document: ParsedDocument, ours: Register, *, before: Numbers, imported_on: date) -> Source:
    """The register that `document` describes, on the day of its import.

    A row is joined to our control and drills only when its risk has the id of ours, and it says the same words.
    """
    joining = _Joining(ours, before, {risk.id for risk in document.risks if risk.id})
    owner = document.owner or _NOBODY
    risks = tuple(joining.risk(risk, owner) for risk in document.risks)
    told = Document(
        owner=owner,
        executive_sponsor=document.executive_sponsor or _NOBODY,
        last_updated=document.last_updated or imported_on,
        next_review=document.next_review or imported_on + _FIRST_REVIEW,
    )
    warnings = (*document.warnings, *joining.warnings)
    return Source(document, Register(told, risks), joining.numbers, joining.joined, warnings)


class _Joining:
    def __init__(self, ours: Register, before: Numbers, labels: set[str]) -> None:
        self.joined = 0
        self.warnings: list[str] = []
        self._ours = {risk.id: risk for risk in ours.risks}
        self._risks = dict(before.risks)
        self._rows = {risk: dict(rows) for risk, rows in before.rows.items()}
        self._taken = {*self._ours, *labels}
        self._said: set[tuple[str, str]] = set()

    @property
    def numbers(self) -> Numbers:
        return Numbers(self._risks, self._rows)

    def risk(self, parsed: ParsedRisk, owner: str) -> Risk:
        id = parsed.id or self._given(parsed)
        ours = self._ours.get(id)
        owner = parsed.owner or owner
        known = {comparable(row.words): row for row in ours.mitigations if row.words} if ours else {}
        rows = tuple(self._row(id, row, owner, known) for row in parsed.rows)
        severe = parsed.level in (Level.CRITICAL, Level.HIGH)
        ids = {row.id for row in rows}
        if ours and known and not ids & {row.id for row in ours.mitigations}:
            self.warnings.append(
                f"line {parsed.place.line + 1}: none of {id}'s rows says what ours do; none is joined."
            )
        return Risk(
            id=id,
            title=parsed.title,
            category=parsed.category,
            level=parsed.level,
            probability=parsed.probability,
            description=parsed.description,
            impact=parsed.impact,
            owner=owner,
            review=Cadence.WEEKLY if severe else Cadence.MONTHLY,
            mitigations=rows,
            # the ways in which it comes about are ours to tell only while all that holds them is there
            paths=ours.paths if ours and all(row in ids for path in ours.paths for row in path.held_by) else (),
        )

    def _given(self, parsed: ParsedRisk) -> str:
        title = self._once("", comparable(parsed.title))
        if self._risks.get(title, "") in {"", *self._taken}:
            number = 1
            while (id := f"{_UNLABELLED}{number:03}") in self._taken or id in self._risks.values():
                number += 1
            self._risks[title] = id
        return self._risks[title]

    def _row(self, risk: str, parsed: ParsedRow, owner: str, known: dict[str, Mitigation]) -> Mitigation:
        words = comparable(parsed.words)
        row = known.pop(words, None)  # said twice, it is held once
        if row is not None:
            self.joined += 1
            return replace(row, claim=parsed.claim, owner=owner)
        title = parsed.words
        return Mitigation(
            id=f"{risk}.{self._number(risk, words)}",
            title=title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1].rstrip() + "…",
            kind=Kind.ATTESTATION,  # no software of ours holds it: a person can sign that it does
            claim=parsed.claim,
            text=parsed.words,
            owner=owner,
            lacks=(Part.ATTESTATION,),
            words=parsed.words,
        )

    def _number(self, risk: str, words: str) -> int:
        given = self._rows.setdefault(risk, {})
        words = self._once(risk, words)
        if words not in given:
            ours = len(self._ours[risk].mitigations) if risk in self._ours else 0
            number = max([ours, *given.values()]) + 1
            if number > _MOST_ROWS:
                raise RegisterError(
                    f"{risk} has had more than {_MOST_ROWS} different mitigations.",
                    next_step="Give the risk another id: its rows' numbers are never used twice.",
                )
            given[words] = number
        return given[words]

    def _once(self, where: str, words: str) -> str:
        # what a document says twice is two things all the same
        spoken, times = words, 1
        while (where, spoken) in self._said:
            times += 1
            spoken = f"{words} ({times})"
        self._said.add((where, spoken))
        return spoken
