"""How the register has moved: day by day what was proven and what was left of the risks, and what moved it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from prodsprints.ledger.log import Entry
from prodsprints.register.assessment import Assessment, Digests, Log, Ongoing
from prodsprints.register.rating import Rating
from prodsprints.register.register import Register
from prodsprints.register.standing import Standing, fold
from prodsprints.register.status import Counts, Status

_MOST_MOVES = 500


@dataclass(frozen=True)
class Point:
    """The register at the end of one day; `events_per_year` is what the proven controls leave of all risks together."""

    day: date
    counts: Counts
    events_per_year: float
    ratings: dict[Rating, int]


@dataclass(frozen=True)
class Move:
    """One row whose status changed on a day, and why it is what it became."""

    day: date
    row: str
    before: Status
    after: Status
    reason: str


@dataclass(frozen=True)
class Trend:
    """The days, oldest first, and the moves, newest first."""

    points: tuple[Point, ...]
    moves: tuple[Move, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "points": [
                {
                    "day": point.day.isoformat(),
                    **point.counts.as_json(),
                    "events_per_year": round(point.events_per_year, 6),
                    "ratings": {str(rating): point.ratings.get(rating, 0) for rating in Rating},
                }
                for point in self.points
            ],
            "moves": [
                {
                    "day": move.day.isoformat(),
                    "row": move.row,
                    "before": str(move.before),
                    "after": str(move.after),
                    "reason": move.reason,
                }
                for move in self.moves
            ],
        }


def trend(
    register: Register,
    entries: Iterable[Entry],
    *,
    tenant: str,
    environment: str,
    digests: Digests,
    log: Log,
    now: datetime,
    days: int = 90,
) -> Trend:
    """The last `days` days of `register` in `environment`, from the log's `entries` in their order.

    Today is assessed with the controls' `digests` of today. What a control was on an earlier day, only its evidence of
    that day can tell: it counts as current until other evidence says otherwise.
    """
    today = now.astimezone(UTC).date()
    ongoing = Ongoing(register, environment)
    points: list[Point] = []
    moves: list[Move] = []
    before: Assessment | None = None
    for day, standing in _days(entries, tenant, today, days):
        end = now if day == today else datetime.combine(day, time.max, UTC)
        then = digests if day == today else _digests_of(standing, environment, digests)
        assessment = ongoing.assess(standing, then, end, log)
        points.append(_point(day, assessment))
        if before is not None:
            moves += _moves(day, before, assessment)
        before = assessment
    return Trend(tuple(points), tuple(reversed(moves[-_MOST_MOVES:])))


def _days(entries: Iterable[Entry], tenant: str, today: date, days: int) -> Iterator[tuple[date, Standing]]:
    """Each day with what the log had come to by its end."""
    first = today - timedelta(days=days - 1)
    by_day: dict[date, list[Entry]] = {}
    for entry in entries:
        by_day.setdefault(max(first - timedelta(days=1), entry.at.astimezone(UTC).date()), []).append(entry)
    standing = fold(Standing(tenant), by_day.get(first - timedelta(days=1), ()))
    for back in reversed(range(days)):
        day = today - timedelta(days=back)
        if day in by_day:
            standing = fold(standing, by_day[day])
        yield day, standing


def _digests_of(standing: Standing, environment: str, today: Digests) -> Digests:
    return {
        row: {
            variant: drilled.digest
            for variant, drilled in standing.row(environment, row).variants.items()
            if variant in variants
        }
        or variants
        for row, variants in today.items()
    }


def _point(day: date, assessment: Assessment) -> Point:
    risks = assessment.risks.values()
    return Point(
        day,
        assessment.counts,
        sum(risk.residual.events_per_year for risk in risks),
        dict(Counter(risk.residual.rating for risk in risks)),
    )


def _moves(day: date, before: Assessment, after: Assessment) -> Iterator[Move]:
    for id, row in after.rows.items():
        if row.status is not before.rows[id].status:
            yield Move(day, id, before.rows[id].status, row.status, row.reason)
