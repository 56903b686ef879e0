"""Key risk indicators: real series of our own, each with thresholds and an owner; what has no data says so."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from prodsprints.register.attestations import Attestation
from prodsprints.register.summary import Review
from prodsprints.store.database import Database, patient

State = Literal["ok", "warn", "breach", "no-data"]
Direction = Literal["at least", "at most"]

WINDOW_DAYS = 30
_OWNER = "Platform Engineering Team"


@dataclass(frozen=True)
class Indicator:
    """One indicator: `breach` is the threshold, `warn` lies on its safe side."""

    id: str
    name: str
    unit: str
    direction: Direction
    warn: float
    breach: float
    owner: str = _OWNER

    def state(self, value: float | None) -> State:
        """How `value` stands to the thresholds."""
        if value is None:
            return "no-data"
        sign = -1 if self.direction == "at least" else 1
        return "breach" if sign * (value - self.breach) > 0 else "warn" if sign * (value - self.warn) > 0 else "ok"


@dataclass(frozen=True)
class Point:
    """What an indicator was on one day; None on a day without data."""

    day: date
    value: float | None


@dataclass(frozen=True)
class Reading:
    """An indicator today: its value over the window, its state, and its days."""

    indicator: Indicator
    value: float | None
    series: tuple[Point, ...]

    @property
    def id(self) -> str:
        """The indicator's."""
        return self.indicator.id

    @property
    def state(self) -> State:
        """How it stands to its thresholds."""
        return self.indicator.state(self.value)

    def as_json(self) -> dict[str, Any]:
        """For programs; a value that nobody measured is null."""
        indicator = self.indicator
        return {
            "id": indicator.id,
            "name": indicator.name,
            "unit": indicator.unit,
            "owner": indicator.owner,
            "value": self.value,
            "state": self.state,
            "direction": indicator.direction,
            "warn": indicator.warn,
            "breach": indicator.breach,
            "series": [{"day": point.day.isoformat(), "value": point.value} for point in self.series],
        }

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.indicator.name}: no data"
        limit = f"{self.indicator.direction} {self.indicator.breach:g}{_spaced(self.indicator.unit)}"
        return f"{self.indicator.name}: {self.value:.4g}{_spaced(self.indicator.unit)} ({self.state}; {limit})"


@dataclass(frozen=True)
class ReleaseFact:
    """What an indicator needs of one release that has ended."""

    day: date
    kind: str
    status: str
    verdict_seconds: float | None
    rollback_seconds: float | None
    seconds: float | None


@dataclass(frozen=True)
class TrafficFact:
    """Requests and errors of one day, as the rollouts of that day counted them."""

    day: date
    requests: int
    errors: int


@dataclass(frozen=True)
class Facts:
    """Everything that the indicators are made of."""

    releases: Sequence[ReleaseFact] = ()
    traffic: Sequence[TrafficFact] = ()
    security_incidents: Sequence[date] = ()
    oldest_finding: date | None = None

    def of(self, day: date) -> Facts:
        """What of it belongs to one day."""
        return Facts(
            [one for one in self.releases if one.day == day],
            [one for one in self.traffic if one.day == day],
            [one for one in self.security_incidents if one == day],
        )


Measure = Callable[[Facts], float | None]
"""What an indicator comes to for some facts; None if they say nothing of it."""

INDICATORS = (
    Indicator("availability", "Requests answered, as rollouts count them", "%", "at least", 99.9, 99.5),
    Indicator("deployment-success", "Deployments that succeed", "%", "at least", 95, 85),
    Indicator("rollback-rate", "Deployments that are rolled back", "%", "at most", 10, 15),
    Indicator("verdict-time", "Time to a canary's verdict, median", "s", "at most", 120, 300),
    Indicator("rollback-time", "Time to roll back, median", "s", "at most", 1, 5),
    Indicator("release-time", "Time from request to release, median", "s", "at most", 900, 3600),
    Indicator("security-incidents", f"Security incidents in {WINDOW_DAYS} days", "", "at most", 0, 1, "Security Team"),
    Indicator("audit-findings", "Age of the oldest open finding", "days", "at most", 7, 30),
    Indicator("satisfaction", "Customer satisfaction", "", "at least", 0.8, 0.6, "Executive Team"),
    Indicator("churn", "Customers lost in a month", "%", "at most", 2, 5, "Executive Team"),
)


def readings(facts: Facts, today: date, *, days: int = WINDOW_DAYS) -> tuple[Reading, ...]:
    """Every indicator on `today`, over the `days` that end with it."""
    window = {day: facts.of(day) for back in reversed(range(days)) if (day := today - timedelta(days=back))}
    found = []
    for indicator in INDICATORS:
        measure = _MEASURES.get(indicator.id, _nothing)
        series = tuple(Point(day, measure(of_day)) for day, of_day in window.items())
        found.append(Reading(indicator, measure(facts), series))
    return tuple(_with_findings(reading, facts.oldest_finding, today) for reading in found)


def oldest_finding(overdue: Iterable[Review], attestations: Iterable[Attestation], at: datetime) -> date | None:
    """Since when the oldest open finding is open: a review that did not happen, or a signature that nobody renewed."""
    newest: dict[tuple[str, str], Attestation] = {}
    for one in attestations:
        known = newest.get((one.environment, one.row))
        if one.is_signed and (known is None or one.created_at > known.created_at):
            newest[one.environment, one.row] = one
    expired = [one.expires_at.astimezone(UTC).date() for one in newest.values() if one.expires_at <= at]
    return min([*(review.due for review in overdue), *expired], default=None)


@patient
def facts(db: Database, tenant_id: UUID, today: date, *, oldest_finding: date | None, days: int = WINDOW_DAYS) -> Facts:
    """What our own tables say of the last `days`; `oldest_finding` is what the function of that name says."""
    since = today - timedelta(days=days - 1)
    with db.tenant(tenant_id) as connection:
        releases = connection.execute(
            """
            select (finished_at at time zone 'UTC')::date as day, kind, status,
                   figures -> 'verdict_seconds' as verdict_seconds, figures -> 'rollback_seconds' as rollback_seconds,
                   extract(epoch from finished_at - created_at)::float8 as seconds
            from releases
            where finished_at is not null and (finished_at at time zone 'UTC')::date between %s and %s
            """,
            [since, today],
        ).fetchall()
        traffic = connection.execute(
            """
            select (coalesce(r.finished_at, r.created_at) at time zone 'UTC')::date as day,
                   sum(t.stable_requests + t.canary_requests)::bigint as requests,
                   sum(t.stable_errors + t.canary_errors)::bigint as errors
            from release_ticks t join releases r on r.id = t.release_id
            where (coalesce(r.finished_at, r.created_at) at time zone 'UTC')::date between %s and %s
            group by 1
            """,
            [since, today],
        ).fetchall()
        incidents = connection.execute(
            """
            select (created_at at time zone 'UTC')::date as day from incidents
            where security and (created_at at time zone 'UTC')::date between %s and %s
            """,
            [since, today],
        ).fetchall()
    return Facts(
        releases=[ReleaseFact(**{**row, **{name: _number(row[name]) for name in _MEASURED}}) for row in releases],
        traffic=[TrafficFact(**row) for row in traffic],
        security_incidents=[row["day"] for row in incidents],
        oldest_finding=oldest_finding,
    )


_MEASURED = ("verdict_seconds", "rollback_seconds", "seconds")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _nothing(_facts: Facts) -> float | None:
    return None


def _availability(facts: Facts) -> float | None:
    requests = sum(one.requests for one in facts.traffic)
    return 100 * (1 - sum(one.errors for one in facts.traffic) / requests) if requests else None


def _deployment_success(facts: Facts) -> float | None:
    tried = [one for one in facts.releases if one.kind == "release"]
    return 100 * sum(one.status == "released" for one in tried) / len(tried) if tried else None


def _rollback_rate(facts: Facts) -> float | None:
    # by the canary's verdict, or later by hand
    tried = [one for one in facts.releases if one.kind == "release"]
    back = sum(one.status == "rolled_back" for one in tried) + sum(one.kind == "rollback" for one in facts.releases)
    return min(100.0, 100 * back / len(tried)) if tried else None


def _median(of: Callable[[ReleaseFact], float | None]) -> Measure:
    def measure(facts: Facts) -> float | None:
        values = [value for one in facts.releases if (value := of(one)) is not None]
        return statistics.median(values) if values else None

    return measure


def _security_incidents(facts: Facts) -> float | None:
    return float(len(facts.security_incidents))


def _with_findings(reading: Reading, oldest: date | None, today: date) -> Reading:
    # how old a finding is grows by the day: it is no sum of days, and of the past only this one is known
    if reading.id != "audit-findings":
        return reading
    known = (
        Point(point.day, float((point.day - oldest).days)) if oldest and point.day >= oldest else Point(point.day, None)
        for point in reading.series
    )
    return Reading(reading.indicator, float((today - oldest).days) if oldest else 0.0, tuple(known))


_MEASURES: Mapping[str, Measure] = {
    "availability": _availability,
    "deployment-success": _deployment_success,
    "rollback-rate": _rollback_rate,
    "verdict-time": _median(lambda one: one.verdict_seconds),
    "rollback-time": _median(lambda one: one.rollback_seconds),
    "release-time": _median(lambda one: one.seconds if one.status == "released" else None),
    "security-incidents": _security_incidents,
}


def _spaced(unit: str) -> str:
    return f" {unit}" if unit else ""
