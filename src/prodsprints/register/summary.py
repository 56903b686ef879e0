"""The first line a reader sees: what is claimed, what is proven, which reviews are overdue. Counted, never typed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from prodsprints.register.model import Claim, Document
from prodsprints.register.status import Counts, Status


@dataclass(frozen=True)
class Review:
    """A review that should have happened: of what, and when it was due."""

    subject: str
    due: date


@dataclass(frozen=True)
class Summary:
    """Figures of a whole register on one day; `claimed` counts the mitigations that are said to be implemented."""

    risks: int
    mitigations: int
    claimed: int
    ongoing: int
    planned: int
    counts: Counts
    overdue: tuple[Review, ...]

    @property
    def proven(self) -> int:
        """How many rows fresh evidence speaks for here."""
        return self.counts.proven

    def __str__(self) -> str:
        parts = [f"Claimed {self.claimed}", f"Proven here {self.proven}", f"Failing {self.counts.failing}"]
        worse = {"Contradicted": self.counts.contradicted, "Invalid": self.counts.invalid}
        return " · ".join([*parts, *(f"{word} {count}" for word, count in worse.items() if count), self._reviews()])

    def _reviews(self) -> str:
        if not self.overdue:
            return "No review overdue"
        return f"Overdue review {len(self.overdue)} (since {min(review.due for review in self.overdue)})"


def summarise(
    risks: int,
    claims: Counter[Claim],
    document: Document,
    *,
    today: date,
    counts: Counts | None = None,
    overdue: Collection[Review] | None = None,
) -> Summary:
    """The figures of so many `risks` with these `claims`, on `today`; without an assessment's `counts` all is unproven.

    `overdue` are the reviews that did not happen; those that only the document itself knows of, if it is left out: one
    is overdue from the day after it was due.
    """
    if overdue is None:
        overdue = (Review("the risk document", document.next_review),) if document.next_review < today else ()
    return Summary(
        risks=risks,
        mitigations=claims.total(),
        claimed=claims[Claim.IMPLEMENTED],
        ongoing=claims[Claim.ONGOING],
        planned=claims[Claim.PLANNED],
        counts=counts or Counts.of(risks, [Status.UNPROVEN] * claims.total()),
        overdue=tuple(overdue),
    )
