"""The first line a reader sees: what is claimed, what is proven, which reviews are overdue. Counted, never typed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from prodsprints.register.model import Claim, Document, Risk


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
    proven: int
    overdue: tuple[Review, ...]

    def __str__(self) -> str:
        return f"Claimed {self.claimed} · Proven here {self.proven} · {self._reviews()}"

    def _reviews(self) -> str:
        if not self.overdue:
            return "No review overdue"
        return f"Overdue review {len(self.overdue)} (since {min(review.due for review in self.overdue)})"


def summarise(risks: Iterable[Risk], document: Document, *, today: date, proven: Collection[str] = ()) -> Summary:
    """Count `risks` as of `today`; `proven` are the ids of the mitigations that evidence speaks for.

    A review is overdue from the day after it was due.
    """
    risks = list(risks)
    mitigations = [mitigation for risk in risks for mitigation in risk.mitigations]
    claims = Counter(mitigation.claim for mitigation in mitigations)
    overdue = (Review("the risk document", document.next_review),) if document.next_review < today else ()
    return Summary(
        risks=len(risks),
        mitigations=len(mitigations),
        claimed=claims[Claim.IMPLEMENTED],
        ongoing=claims[Claim.ONGOING],
        planned=claims[Claim.PLANNED],
        proven=sum(mitigation.id in proven for mitigation in mitigations),
        overdue=overdue,
    )
