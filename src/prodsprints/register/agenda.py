"""What a review has to look at, put together from how things stand: nobody has to remember it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from prodsprints.incidents import Incident
from prodsprints.register.model import Cadence, Risk
from prodsprints.register.rating import Level
from prodsprints.register.status import Status

if TYPE_CHECKING:
    from prodsprints.register.assessment import Assessment
    from prodsprints.register.escalation import Report
    from prodsprints.register.kris import Reading

_LOOKS_AHEAD = {
    Cadence.WEEKLY: timedelta(days=7),
    Cadence.MONTHLY: timedelta(days=31),
    Cadence.QUARTERLY: timedelta(days=92),
    Cadence.YEARLY: timedelta(days=366),
}
_ALARMING = (Status.INVALID, Status.CONTRADICTED, Status.FAILING, Status.STALE)
_MOST = 500


class Why(StrEnum):
    """Why something is on the agenda; in the order in which it is looked at."""

    INCIDENT = "incident"
    STATUS = "status"
    EXPIRING = "expiring"
    ACCEPTANCE = "acceptance"
    REPORT = "report"
    INDICATOR = "indicator"


@dataclass(frozen=True)
class Point:
    """One point: what it is about (the id of a row, a risk, an incident, …), and what there is to say."""

    why: Why
    about: str
    words: str


@dataclass(frozen=True)
class Agenda:
    """The points of one review, the most pressing first."""

    kind: Cadence
    points: tuple[Point, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """As it is stored beside the decisions."""
        return [{"why": str(point.why), "about": point.about, "words": point.words} for point in self.points]


def agenda(
    kind: Cadence,
    assessment: Assessment,
    *,
    incidents: Iterable[Incident] = (),
    reports: Iterable[Report] = (),
    indicators: Iterable[Reading] = (),
) -> Agenda:
    """The agenda of a review of `kind` at the moment of `assessment`: a weekly one looks at the severe risks only."""
    risks = [risk for risk in assessment.register.risks if kind is not Cadence.WEEKLY or _is_severe(risk.level)]
    ahead = assessment.now + _LOOKS_AHEAD[kind]
    points = [
        *_incidents(incidents, {risk.id for risk in risks}, assessment.now - _LOOKS_AHEAD[kind]),
        *_rows(assessment, risks, ahead),
        *_acceptances(assessment, risks, ahead),
        *(
            Point(Why.REPORT, str(one.id), f"{one.title}: {one.stage}, {one.waits(assessment.now)}")
            for one in reports
            if one.is_open
        ),
        *(Point(Why.INDICATOR, one.id, str(one)) for one in indicators if one.state in ("warn", "breach")),
    ]
    order = list(Why)
    return Agenda(kind, tuple(sorted(points, key=lambda point: order.index(point.why))[:_MOST]))


def _is_severe(level: Level) -> bool:
    return level in (Level.CRITICAL, Level.HIGH)


def _incidents(incidents: Iterable[Incident], ids: set[str], since: datetime) -> Iterator[Point]:
    for one in incidents:
        if one.risk not in ids or not one.is_signed:
            continue
        if one.closing is None:
            yield Point(Why.INCIDENT, str(one.id), f"{one.risk}, {one.title}: open since {one.created_at:%Y-%m-%d}")
        elif one.closing.created_at >= since:
            yield Point(
                Why.INCIDENT, str(one.id), f"{one.risk}, {one.title}: closed on {one.closing.created_at:%Y-%m-%d}"
            )


def _rows(assessment: Assessment, risks: Sequence[Risk], ahead: datetime) -> Iterator[Point]:
    for risk in risks:
        for row in risk.mitigations:
            status = assessment.rows[row.id]
            if status.status in _ALARMING or status.attestation_expired:
                yield Point(Why.STATUS, row.id, f"{row.title}: {status.status}. {status.reason}")
            elif status.until is not None and status.until <= ahead:
                yield Point(Why.EXPIRING, row.id, f"{row.title}: {status.status} until {status.until:%Y-%m-%d}")


def _acceptances(assessment: Assessment, risks: Sequence[Risk], ahead: datetime) -> Iterator[Point]:
    for risk in risks:
        accepted = assessment.risks[risk.id].acceptance
        if accepted is None:
            continue
        expires = datetime.fromtimestamp(accepted.word.expires_at, UTC)
        if accepted.reopened is not None:
            yield Point(Why.ACCEPTANCE, risk.id, "accepted, and reopened by a drill that failed")
        elif expires <= assessment.now:
            yield Point(Why.ACCEPTANCE, risk.id, f"its acceptance expired on {expires:%Y-%m-%d}")
        elif expires <= ahead:
            yield Point(Why.ACCEPTANCE, risk.id, f"its acceptance expires on {expires:%Y-%m-%d}")
