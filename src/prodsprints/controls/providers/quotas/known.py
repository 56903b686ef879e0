"""Known series and what is to be said of each, to the last digit: what the drill holds forecasts and drafts against.

`EXPECTED` was worked out once, and compared by hand where a hand can: the ramps, the minima, the roundings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prodsprints.controls.providers.quotas.drafting import desired_limit, draft, is_due
from prodsprints.controls.providers.quotas.errors import QuotaInputError
from prodsprints.controls.providers.quotas.forecast import Forecast, Outlook, Path, Sample, forecast
from prodsprints.controls.providers.quotas.model import Kind, Place, Quota, Source

NOW = datetime(2026, 6, 17, 12, tzinfo=UTC)
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


def said() -> dict[str, str]:
    """What is said of each series now, by its name."""
    found = {
        name: _forecast(forecast(_samples(values, step, ago), limit, NOW)) for name, values, step, ago, limit in _SERIES
    }
    found |= {f"needed {name}": f"{made.needed_at(NOW + 20 * _DAY):.6g}" for name, made in _made().items()}
    found |= {f"left {name}": f"{made.seconds_left(NOW)}" for name, made in _made().items()}
    for name, (limit, used) in _LIMITS.items():
        found[f"ask {name}"] = f"{desired_limit(Forecast(Outlook.REACHED, limit, used, 0), NOW):.6g}"
    found |= {f"limit {limit:g}": _refused(limit) for limit in (0.0, -1.0, 1e16)}
    for name, made in _made().items():
        drafted = draft(_QUOTA, made, NOW)
        found[f"draft {name}"] = f"{drafted.desired:.6g} {is_due(_QUOTA, made, NOW)} {drafted.reason}"
    return found


def wrong() -> Mapping[str, tuple[str, str]]:
    """What is said otherwise than it should be: expected, and said."""
    now = said()
    return {name: (expected, now.get(name, "")) for name, expected in EXPECTED.items() if now.get(name) != expected}


def _wobble(day: int) -> int:
    return ((day * 37 + 11) ** 2 // 7) % 13 - 6


_SERIES: tuple[tuple[str, Sequence[float], timedelta, timedelta, float], ...] = (
    ("six days", [float(day) for day in range(6)], _DAY, 0 * _DAY, 9.0),
    ("seven days", [float(day) for day in range(7)], _DAY, 0 * _DAY, 9.0),
    ("eleven hours", [float(hour) for hour in range(11)], _HOUR, 0 * _HOUR, 20.0),
    ("twelve hours", [float(hour) for hour in range(12)], _HOUR, 0 * _HOUR, 20.0),
    ("silent for a week", [float(day) for day in range(20)], _DAY, 7 * _DAY, 40.0),
    ("silent for nine days", [float(day) for day in range(20)], _DAY, 9 * _DAY, 40.0),
    ("wobbling ramp", [100.0 + 2 * day + _wobble(day) for day in range(60)], _DAY, 0 * _DAY, 260.0),
    ("late ramp", [100.0 + max(0, day - 40) * 3 + _wobble(day) for day in range(60)], _DAY, 0 * _DAY, 200.0),
    ("young wobble", [100.0 + 2 * day + _wobble(day) for day in range(9)], _DAY, 0 * _DAY, 130.0),
    ("flat wobble", [100.0 + _wobble(day) for day in range(30)], _DAY, 0 * _DAY, 110.0),
    ("falling", [200.0 - 3 * day for day in range(30)], _DAY, 0 * _DAY, 210.0),
    ("twenty days with Sundays", [50.0 + day + 30 * (day % 7 == 3) for day in range(20)], _DAY, 0 * _DAY, 120.0),
    ("three weeks with Sundays", [50.0 + day + 30 * (day % 7 == 3) for day in range(21)], _DAY, 0 * _DAY, 120.0),
    ("eight weeks with Sundays", [50.0 + day + 30 * (day % 7 == 3) for day in range(56)], _DAY, 0 * _DAY, 140.0),
    ("barely weekly", [50.0 + day + _wobble(day) + 4 * (day % 7 == 3) for day in range(28)], _DAY, 0 * _DAY, 100.0),
    ("once a week", [10.0 * week for week in range(12)], 7 * _DAY, 0 * _DAY, 130.0),
    ("every 20 days", [10.0 * place for place in range(8)], 20 * _DAY, 0 * _DAY, 90.0),
    ("by the hour", [30.0 + hour + _wobble(hour) for hour in range(30)], _HOUR, 0 * _HOUR, 75.0),
    ("by the hour for a day", [30.0 + 1.37 * hour + _wobble(hour) for hour in range(24)], _HOUR, 0 * _HOUR, 75.0),
    ("by the hour for a week", [30.0 + hour + _wobble(hour) for hour in range(130)], _HOUR, 0 * _HOUR, 200.0),
    ("just within sight", [float(day) for day in range(10)], _DAY, 0 * _DAY, 36.0),
    ("just out of sight", [float(day) for day in range(10)], _DAY, 0 * _DAY, 37.0),
    ("a year within sight", [100.0 + day for day in range(200)], _DAY, 0 * _DAY, 530.0),
    ("reached", [100.0 + 2 * day for day in range(30)], _DAY, 0 * _DAY, 158.0),
    ("reached at once", [7.0], _DAY, 0 * _DAY, 7.0),
    ("nothing", [], _DAY, 0 * _DAY, 7.0),
)  # fmt: skip
_LIMITS = {
    "five": (5.0, 6.0),
    "a fraction": (1.25, 1.38),
    "thousands": (5_000.0, 5_100.0),
    "at most": (100.0, 1_000.0),
    "at least": (80.0, 10.0),
    "the largest": (1e15, 1e15),
}
_QUOTA = Quota(
    UUID(int=1), Place("aws", "123456789012", "eu-central-1", "vpc", "L-1"), "Interfaces", "pieces", Kind.RESOURCE,
    Source.PROVIDER, 100.0, NOW, True, 14, "", NOW, NOW,
)  # fmt: skip


def _made() -> dict[str, Forecast]:
    """Forecasts of which every part is known."""
    low, middle, high = (Path(NOW - 12 * _HOUR, _DAY, 90.0 + up, 1.0 + up / 10) for up in (-2, 0, 2))
    weekly = Path(NOW, _DAY, 90.0, 1.0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 40.0))
    lines = {"low": low, "middle": middle, "high": high, "horizon": NOW + 60 * _DAY, "per_day": 1.2345}
    return {
        "unknown": Forecast(Outlook.UNKNOWN, 100.0, 12.0, 3),
        "unmeasured": Forecast(Outlook.UNKNOWN, 100.0, None, 0),
        "steady": Forecast(Outlook.STEADY, 100.0, 90.0, 30, earliest=NOW + 9 * _DAY, horizon=NOW + 60 * _DAY),
        "due": Forecast(Outlook.REACHES, 100.0, 90.5, 30, NOW + 13 * _DAY, NOW + 8 * _DAY, NOW + 19 * _DAY, **lines),  # type: ignore[arg-type]
        "not due": Forecast(Outlook.REACHES, 100.0, 90.5, 30, NOW + 15 * _DAY, NOW + 9 * _DAY, None, **lines),  # type: ignore[arg-type]
        "on the edge": Forecast(Outlook.REACHES, 100.0, 90.0, 30, NOW + 14 * _DAY),
        "on one day": Forecast(Outlook.REACHES, 100.0, 90.5, 30, NOW + 9 * _DAY, NOW + 9 * _DAY, NOW + 9 * _DAY),
        "reached": Forecast(Outlook.REACHED, 100.0, 101.0, 30, NOW, NOW, NOW),
        "weekly": Forecast(Outlook.REACHES, 100.0, 90.0, 30, NOW + 10 * _DAY, high=weekly),
    }


def _refused(limit: float) -> str:
    try:
        return _forecast(forecast([], limit, NOW))
    except QuotaInputError as error:
        return error.what


def _samples(values: Sequence[float], step: timedelta, ago: timedelta) -> list[Sample]:
    last = len(values) - 1
    return [Sample(NOW - ago - (last - place) * step, value) for place, value in enumerate(values)]


def _forecast(found: Forecast) -> str:
    days = [
        f"{each:%m-%dT%H}" if each else "-" for each in (found.reaches, found.earliest, found.latest, found.horizon)
    ]
    lines = [f"{line.at(0):.6g}{line.slope:+.6g}" for line in (found.low, found.middle, found.high) if line]
    season = [f"{each:.4g}" for each in found.middle.season] if found.middle else []
    used = "-" if found.used is None else f"{found.used:g}"
    return " ".join([found.outlook, used, str(found.points), f"{found.per_day:.6g}", *days, *lines, *season])


EXPECTED: Mapping[str, str] = {
    "six days": "unknown 5 6 0 - - - -",
    "seven days": "reaches 6 7 1 06-20T00 06-20T00 06-20T00 07-05T00 6+1 6+1 6+1",
    "eleven hours": "unknown 10 11 0 - - - -",
    "twelve hours": "reaches 11 12 24 06-17T21 06-17T21 06-17T21 06-18T21 11+1 11+1 11+1",
    "silent for a week": "reaches 19 20 1 07-01T00 07-01T00 07-01T00 08-06T00 19+1 19+1 19+1",
    "silent for nine days": "unknown 19 20 0 - - - -",
    "wobbling ramp": (
        "reaches 213 28 1.91288 07-11T00 07-06T00 07-14T00 12-11T00 211.887+1.8 215.737+1.91288 222.342+2"
    ),
    "late ramp": "reaches 152 28 2.25 07-10T00 07-06T00 07-15T00 12-11T00 142.525+2.1 150.25+2.25 156.45+2.41176",
    "young wobble": "reaches 119 9 2.5 06-22T00 06-21T00 06-29T00 07-11T00 113.1+1.5 118+2.5 120+3",
    "flat wobble": "steady 103 28 0.0851449 - 07-14T00 - 09-12T00 95.875+0 99.894+0.0851449 104.773+0.2",
    "falling": "steady 113 28 -3 - - - 09-12T00 113-3 113-3 113-3",
    "twenty days with Sundays": "reaches 69 20 1 08-07T00 07-08T00 08-07T00 08-13T00 69+1 69+1 99+1",
    "three weeks with Sundays": "reaches 70 21 1 07-12T00 07-12T00 07-12T00 08-16T00 70+1 70+1 70+1 0 0 0 0 0 0 30",
    "eight weeks with Sundays": "reaches 105 28 1 06-28T00 06-28T00 06-28T00 11-29T00 105+1 105+1 105+1 0 0 0 0 0 0 30",
    "barely weekly": "reaches 82 28 1.08333 07-08T00 07-03T00 07-14T00 09-06T00 73.2667+1 77.375+1.08333 81.7083+1.2",
    "once a week": "reaches 110 12 1.42857 07-01T00 07-01T00 07-01T00 02-03T00 110+1.42857 110+1.42857 110+1.42857",
    "every 20 days": "reaches 70 8 0.5 07-27T00 07-27T00 07-27T00 06-17T00 70+0.5 70+0.5 70+0.5",
    "by the hour": (
        "reaches 62 30 25.8462 06-18T03 06-17T22 06-18T09 06-21T03 54.8692+1 59.1154+1.07692 63.6231+1.17857"
    ),
    "by the hour for a week": "reaches 162 72 24 06-19T06 06-19T00 06-19T12 07-02T17 154+0.965517 158+1 164+1",
    "just within sight": "reaches 9 10 1 07-14T00 07-14T00 07-14T00 07-14T00 9+1 9+1 9+1",
    "just out of sight": "steady 9 10 1 - - - 07-14T00 9+1 9+1 9+1",
    "a year within sight": "reaches 299 28 1 02-03T00 02-03T00 02-03T00 02-21T00 299+1 299+1 299+1",
    "reached": "reached 158 28 2 06-17T12 06-17T12 06-17T12 09-12T00 158+2 158+2 158+2",
    "reached at once": "reached 7 1 0 06-17T12 06-17T12 06-17T12 -",
    "nothing": "unknown - 0 0 - - - -",
    "needed unknown": "12",
    "needed unmeasured": "0",
    "needed steady": "90",
    "needed due": "124.4",
    "needed not due": "124.4",
    "needed on one day": "90.5",
    "needed reached": "101",
    "needed weekly": "155",
    "left unknown": "None",
    "left unmeasured": "None",
    "left steady": "None",
    "left due": "1123200.0",
    "left not due": "1296000.0",
    "left on one day": "777600.0",
    "left reached": "0.0",
    "left weekly": "864000.0",
    "ask five": "7",
    "ask a fraction": "1.6",
    "ask thousands": "6300",
    "ask at most": "400",
    "ask at least": "100",
    "ask the largest": "1e+15",
    "draft unknown": (
        "130 False Interfaces (aws 123456789012 eu-central-1 vpc L-1). 12 of 100 pieces are used, 12 %. "
        "We ask for 130 pieces, to last until 2026-09-29."
    ),
    "draft unmeasured": (
        "130 False Interfaces (aws 123456789012 eu-central-1 vpc L-1). We ask for 130 pieces, to last until 2026-09-29."
    ),
    "draft steady": (
        "130 False Interfaces (aws 123456789012 eu-central-1 vpc L-1). 90 of 100 pieces are used, 90 %. "
        "We ask for 130 pieces, to last until 2026-09-29."
    ),
    "draft due": (
        "230 True Interfaces (aws 123456789012 eu-central-1 vpc L-1). 90.5 of 100 pieces are used, 90 %. "
        "At the present trend the limit is reached on 2026-06-30, between 2026-06-25 and 2026-07-06. Use "
        "grows by 1.23 pieces a day. We ask for 230 pieces, to last until 2026-09-29."
    ),
    "draft not due": (
        "230 False Interfaces (aws 123456789012 eu-central-1 vpc L-1). 90.5 of 100 pieces are used, 90 "
        "%. At the present trend the limit is reached on 2026-07-02, between 2026-06-26 and later than "
        "can be foreseen. Use grows by 1.23 pieces a day. We ask for 230 pieces, to last until "
        "2026-09-29."
    ),
    "draft on one day": (
        "130 True Interfaces (aws 123456789012 eu-central-1 vpc L-1). 90.5 of 100 pieces are used, 90 %. "
        "At the present trend the limit is reached on 2026-06-26. We ask for 130 pieces, to last until "
        "2026-09-29."
    ),
    "draft reached": (
        "130 True Interfaces (aws 123456789012 eu-central-1 vpc L-1). 101 of 100 pieces are used, 101 %. "
        "The limit is reached. We ask for 130 pieces, to last until 2026-09-29."
    ),
    "draft weekly": (
        "240 True Interfaces (aws 123456789012 eu-central-1 vpc L-1). 90 of 100 pieces are used, 90 %. "
        "At the present trend the limit is reached on 2026-06-27. We ask for 240 pieces, to last until "
        "2026-09-29."
    ),
    "needed on the edge": "90",
    "left on the edge": "1209600.0",
    "draft on the edge": (
        "130 True Interfaces (aws 123456789012 eu-central-1 vpc L-1). 90 of 100 pieces are used, 90 %. "
        "At the present trend the limit is reached on 2026-07-01. We ask for 130 pieces, to last until 2026-09-29."
    ),
    "by the hour for a day": (
        "reaches 59.51 24 32.88 06-17T23 06-17T19 06-18T04 06-20T09 55.81+1.22 60.01+1.37 64.51+1.52385"
    ),
    "limit 0": "0.0 can be no limit.",
    "limit -1": "-1.0 can be no limit.",
    "limit 1e+16": "1e+16 can be no limit.",
}
