"""What a Markdown document says, as values: each risk and row with the place where it stands."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from prodsprints.register.model import Category, Claim
from prodsprints.register.rating import Level, Probability


@dataclass(frozen=True)
class Place:
    """A place in the document's text: a line, from 0, and the column behind which something can be added."""

    line: int
    column: int


@dataclass(frozen=True)
class ParsedRow:
    """One line of a risk's plan: what it claims, in whose words, and where a status is written beside it."""

    claim: Claim
    words: str
    place: Place


@dataclass(frozen=True)
class ParsedRisk:
    """A risk as the document has it. `label` is the document's own id, empty where it gives none."""

    label: str
    title: str
    category: Category
    level: Level
    probability: Probability
    description: str
    impact: str
    owner: str
    place: Place
    """Where the rating of today is written: behind the probability."""
    rows: tuple[ParsedRow, ...]

    @property
    def id(self) -> str:
        """The label as an id of ours: `RISK-12` is `RISK12`; empty where there is no label."""
        return "".join(character for character in self.label.upper() if character.isalnum())


@dataclass(frozen=True)
class ParsedDocument:
    """A document's claims, beside its whole text.

    `text` is the document without anything that an export of ours wrote into it: no status, no closing line. So an
    export that is imported again is the same document.
    """

    text: str
    risks: tuple[ParsedRisk, ...]
    owner: str
    executive_sponsor: str
    last_updated: date | None
    next_review: date | None
    closing: Place | None
    """Where the line ends that says how things stand; None in a document without one."""
    warnings: tuple[str, ...]

    @cached_property
    def sha256(self) -> str:
        """The digest of the text, which names this version of the document."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def rows(self) -> tuple[ParsedRow, ...]:
        """Every row of every risk, in order."""
        return tuple(row for risk in self.risks for row in risk.rows)

    @property
    def claimed(self) -> int:
        """How many rows say that they are implemented."""
        return sum(row.claim is Claim.IMPLEMENTED for row in self.rows)
