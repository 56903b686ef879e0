"""What a service's days come to: how much was measured at all, and how much of that it was there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import floor

SHOWN_DAYS = 90
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Day:
    """One day (UTC): the seconds at each level, and how many of its seconds are over by now."""

    day: date
    up_seconds: float
    degraded_seconds: float
    down_seconds: float
    over_seconds: float

    @property
    def measured_seconds(self) -> float:
        """The time in which somebody looked; the rest is not measured, and never counts as up."""
        return self.up_seconds + self.degraded_seconds + self.down_seconds

    @property
    def unmeasured_seconds(self) -> float:
        """What is over of the day, and nobody looked."""
        return max(0.0, self.over_seconds - self.measured_seconds)


@dataclass(frozen=True)
class Uptime:
    """Of the time that was measured, the percentage in which the service answered; None if nothing was.

    `measured_percent` says of how much of the time that is.
    """

    available_percent: float | None
    measured_percent: float


def days(known: Mapping[date, tuple[float, float, float]], now: datetime, number: int = SHOWN_DAYS) -> tuple[Day, ...]:
    """The last `number` days up to `now`, the oldest first; one that is not `known` was not measured."""
    today = now.astimezone(UTC).date()
    found = []
    for back in range(number - 1, -1, -1):
        day = today - timedelta(days=back)
        begun = (now - datetime.combine(day, time(), UTC)).total_seconds()
        found.append(Day(day, *known.get(day, (0.0, 0.0, 0.0)), over_seconds=min(_DAY_SECONDS, begun)))
    return tuple(found)


def uptime(over: Sequence[Day]) -> Uptime:
    """Percentages cut off, not rounded, after three places: 100 is said only of what was never seen down."""
    measured = sum(day.measured_seconds for day in over)
    all_of_it = sum(day.over_seconds for day in over)
    down = sum(day.down_seconds for day in over)
    return Uptime(
        None if measured <= 0 else _cut((measured - down) / measured, whole=down <= 0),
        0.0 if all_of_it <= 0 else _cut(min(1.0, measured / all_of_it), whole=measured >= all_of_it),
    )


def _cut(share: float, *, whole: bool) -> float:
    return 100.0 if whole else min(floor(share * 100_000) / 1_000, 99.999)
