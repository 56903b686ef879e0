"""The day on which a limit is reached, with a band: pure, robust against outliers, and honest about what it cannot say.

The trend is Theil and Sen's: the median slope of all pairs of points, which three outliers in ten do not move. Its band
is Sen's (1968), by ranks, and so of any distribution; it takes neighbouring points for independent, which makes it
somewhat narrow for what changes slowly. Three windows are looked at, and a day counts when two of them agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import combinations
from math import ceil, floor, isfinite, sqrt
from statistics import fmean, median

from prodsprints.controls.providers.quotas.errors import QuotaInputError

LARGEST = 1e15
"""Nothing that is counted comes to more; what does is a mistake, and would overflow."""

LEAST_DAYS = 7
"""As many have to be known before anything is foreseen by the day."""

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_DAILY_WINDOWS, _HOURLY_WINDOWS = (14, 28, 84), (24, 72, 168)
_LEAST_HOURS = 12
_SILENT = timedelta(days=8)  # whoever was not measured for longer may be anywhere
_SEASON_DAYS = 21  # three weeks: each weekday was seen three times
_LONGEST_STEPS = 365
_AHEAD = 3  # no further ahead than three times what was seen
_Z = 1.2816  # 80 %: one in ten beyond either end
_TENTH = 0.1


class Outlook(StrEnum):
    """What can be said of a limit."""

    UNKNOWN = "unknown"  # too little was seen
    STEADY = "steady"  # it is not reached as far ahead as can be looked
    REACHES = "reaches"  # on a day
    REACHED = "reached"  # now, or passed


@dataclass(frozen=True)
class Sample:
    """How much was used at a moment."""

    at: datetime
    used: float


@dataclass(frozen=True)
class Path:
    """A straight line, and the weekday on top of it: `level` at the moment of the last point."""

    start: datetime
    step: timedelta
    level: float
    slope: float
    season: tuple[float, ...] = ()

    def at(self, steps: int) -> float:
        """What is used so many steps after the last point."""
        weekday = (self.start + steps * self.step).weekday()
        return self.level + self.slope * steps + (self.season[weekday] if self.season else 0.0)

    def reaches(self, limit: float, within: int) -> int | None:
        """After how many steps it first comes to `limit`."""
        return next((steps for steps in range(within + 1) if self.at(steps) >= limit), None)


@dataclass(frozen=True)
class Forecast:
    """What is to come: `reaches` is the day in the middle, `earliest` and `latest` hold four in five.

    The last two are None where they lie beyond `horizon`, which is as far as was looked. `per_day` is the trend.
    """

    outlook: Outlook
    limit: float
    used: float | None
    points: int
    reaches: datetime | None = None
    earliest: datetime | None = None
    latest: datetime | None = None
    horizon: datetime | None = None
    per_day: float = 0.0
    low: Path | None = None
    middle: Path | None = None
    high: Path | None = None

    def seconds_left(self, now: datetime) -> float | None:
        """Until the limit is reached; None if that is not foreseen."""
        return None if self.reaches is None else max(0.0, (self.reaches - now).total_seconds())

    def needed_at(self, when: datetime) -> float:
        """What will be used at most by `when`, in four cases of five and a half beyond."""
        if self.high is None:
            return self.used or 0.0
        steps = max(0, ceil((when - self.high.start) / self.high.step))
        # whole weeks of it, so that a weekday's peak is not missed
        return max(self.high.at(steps + extra) for extra in range(7))


def forecast(samples: Iterable[Sample], limit: float, now: datetime) -> Forecast:
    """What becomes of `limit`. The order of samples is no matter, and neither are repeated ones nor those to come.

    Raises QuotaInputError for a limit that is none.
    """
    positive(limit, "limit")
    known = sorted((one for one in samples if one.at <= now), key=lambda one: (one.at, one.used))
    if not known:
        return Forecast(Outlook.UNKNOWN, limit, None, 0)
    points, step = _points(known)
    used = known[-1].used
    enough = len(points) >= (LEAST_DAYS if step == _DAY else _LEAST_HOURS)
    if enough and now - points[-1][0] <= _SILENT:
        # of the days on which the windows reach the limit, the middle one: two of three agree that it is no later
        windows = list(_windows(points, step))
        longest = windows[-1]
        season = _season(longest) if step == _DAY else ()
        within = min(_LONGEST_STEPS, _AHEAD * -_places(longest, step)[0])
        seen = sorted((_seen(window, step, season, limit, within, now) for window in windows), key=_when)
        found = replace(seen[len(seen) // 2], used=used)
    else:
        found = Forecast(Outlook.UNKNOWN, limit, used, len(points))
    if used >= limit:
        return replace(found, outlook=Outlook.REACHED, reaches=now, earliest=now, latest=now)
    return found


def positive(value: float, what: str) -> float:
    """`value`, if it can be a limit. Raises QuotaInputError."""
    if not isfinite(value) or not 0 < value <= LARGEST:
        raise QuotaInputError(
            f"{value!r} can be no {what}.", next_step=f"Give a number above 0, and at most {LARGEST:g}."
        )
    return value


def natural(value: float, what: str) -> float:
    """`value`, if it can be an amount. Raises QuotaInputError."""
    if not isfinite(value) or not 0 <= value <= LARGEST:
        raise QuotaInputError(f"{value!r} can be no {what}.", next_step=f"Give a number from 0 to {LARGEST:g}.")
    return value


_Points = Sequence[tuple[datetime, float]]


def _points(known: Sequence[Sample]) -> tuple[_Points, timedelta]:
    """The most that was used on each day; of each hour while there are too few days."""
    days = _most(known, _DAY)
    if len(days) >= LEAST_DAYS:
        return days, _DAY
    hours = _most(known, _HOUR)
    return hours[-_HOURLY_WINDOWS[-1] :], _HOUR


def _most(known: Sequence[Sample], step: timedelta) -> _Points:
    most: dict[datetime, float] = {}
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for one in known:
        start = epoch + step * ((one.at - epoch) // step)
        most[start] = max(natural(one.used, "use"), most.get(start, 0.0))
    return sorted(most.items())


def _windows(points: _Points, step: timedelta) -> Iterable[_Points]:
    """The last points within each window; a longer window counts only if it holds more."""
    last, held = points[-1][0], 0
    for size in _DAILY_WINDOWS if step == _DAY else _HOURLY_WINDOWS:
        window = [point for point in points if point[0] > last - size * step]
        if len(window) > held and len(window) >= (LEAST_DAYS if step == _DAY else _LEAST_HOURS):
            held = len(window)
            yield window
    if not held:  # seen too seldom for any window: then all that there is
        yield points


def _seen(
    window: _Points, step: timedelta, season: tuple[float, ...], limit: float, within: int, now: datetime
) -> Forecast:
    last = window[-1][0]
    at = _places(window, step)
    level = [value - (season[when.weekday()] if season else 0.0) for when, value in window]
    slope, least, most = _slopes(at, level)
    rest = sorted(value - slope * x for x, value in zip(at, level, strict=True))
    middle = median(rest)
    lines = [
        Path(last, step, start, rises, season)
        for start, rises in ((_quantile(rest, _TENTH), least), (middle, slope), (_quantile(rest, 1 - _TENTH), most))
    ]
    # a trend counts once its sign is certain; before that a day would be one of chance
    later, mid, sooner = (line.reaches(limit, within) for line in lines)
    reached = mid if least > 0 else None
    return Forecast(
        Outlook.STEADY if reached is None else Outlook.REACHES,
        limit,
        window[-1][1],
        len(window),
        reaches=_day(last, step, reached, now),
        earliest=_day(last, step, sooner, now),
        latest=_day(last, step, later, now) if reached is not None else None,
        horizon=last + within * step,
        per_day=slope * (_DAY / step),
        low=lines[0],
        middle=lines[1],
        high=lines[2],
    )


def _places(window: _Points, step: timedelta) -> list[int]:
    """How many steps before the last point each one is, as numbers that rise to 0."""
    return [round((when - window[-1][0]) / step) for when, _ in window]


def _season(window: _Points) -> tuple[float, ...]:
    """What each weekday adds to the trend, where three weeks were seen and it foretells most of what moves."""
    at = _places(window, _DAY)
    if -at[0] < _SEASON_DAYS - 1:
        return ()
    slope, *_ = _slopes(at, [value for _, value in window])
    of_day: dict[int, list[float]] = {}
    for (when, value), x in zip(window, at, strict=True):
        of_day.setdefault(when.weekday(), []).append(value - slope * x)
    if len(of_day) < 7 or min(map(len, of_day.values())) < 2:
        return ()
    typical = {day: median(values) for day, values in of_day.items()}
    middle = median(value for values in of_day.values() for value in values)
    season = tuple(typical[day] - middle for day in range(7))
    # Means, not medians: a peak on one day of seven would not move a median. And each day is told from the others of
    # its weekday: three noisy values explain themselves well enough.
    before = fmean(abs(value - middle) for values in of_day.values() for value in values)
    after = fmean(
        abs(value - median(values[:place] + values[place + 1 :]))
        for values in of_day.values()
        for place, value in enumerate(values)
    )
    return season if after < before / 2 else ()


def _slopes(at: Sequence[int], used: Sequence[float]) -> tuple[float, float, float]:
    """The median slope of all pairs, and the ends between which it lies in four cases of five (Sen 1968)."""
    pairs = combinations(zip(at, used, strict=True), 2)
    slopes = sorted((later - earlier) / (x - before) for (before, earlier), (x, later) in pairs)
    count = len(at)
    spread = _Z * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    # of seven points or more both are places among the slopes
    least, most = floor((len(slopes) - spread) / 2) - 1, ceil((len(slopes) + spread) / 2)
    return median(slopes), slopes[least], slopes[most]


def _quantile(values: Sequence[float], share: float) -> float:
    place = share * (len(values) - 1)
    below = floor(place)
    return values[below] + (values[below + 1] - values[below]) * (place - below)


def _day(last: datetime, step: timedelta, steps: int | None, now: datetime) -> datetime | None:
    return None if steps is None else max(now, last + steps * step)


def _when(found: Forecast) -> float:
    return found.reaches.timestamp() if found.reaches else float("inf")
