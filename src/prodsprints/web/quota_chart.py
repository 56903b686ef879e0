"""A quota as SVG: what was used day by day, the limit, what is foreseen with its band, and the day it comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from prodsprints.controls.providers.quotas.drafting import said
from prodsprints.controls.providers.quotas.forecast import Forecast, Path
from prodsprints.web import svg
from prodsprints.web.quota_book import Shown

_SHOWN_DAYS = 90
_AHEAD_DAYS = 45


def quota_chart(shown: Shown, *, style: bool = True) -> str:
    """One panel over the last days and the next ones."""
    standing = shown.standing
    now, forecast = standing.at, standing.forecast
    points = [
        (one.sample.at, one.used, one.limit) for one in shown.days if one.sample.at > now - _SHOWN_DAYS * timedelta(1)
    ]
    if not points or forecast is None:
        words = "Nothing was measured yet" if forecast else "Its limit is not known yet"
        empty = [svg.text(_WIDTH / 2, 60, words, anchor="middle", fill="muted")]
        return svg.document("quota-chart", standing.quota.name, f"{words}.", empty, (_WIDTH, 100), style)
    until = now + timedelta(days=_AHEAD_DAYS if forecast.middle else 1)
    if forecast.horizon:
        until = max(now + timedelta(days=1), min(until, forecast.horizon))
    time = svg.Scale(points[0][0].timestamp(), until.timestamp(), _LEFT, _WIDTH - _RIGHT)
    limits = [limit for _, _, limit in points if limit] + [forecast.limit]
    top = max(*(used for _, used, _ in points), *limits) * 1.15
    amount = svg.Scale(0, top, _TOP + _PANEL, _TOP)
    shapes = [
        *_grid(amount, standing.quota.unit),
        *_band(forecast, time, amount, until),
        *_limit(points, forecast.limit, time, amount),
        *_use(points, time, amount),
        *_today(now, time),
        *_day(forecast, time, amount),
        *_dates(time),
    ]
    words = f"{standing.use} used. {standing.outlook}"
    return svg.document("quota-chart", standing.quota.name, words, shapes, (_WIDTH, _HEIGHT), style)


_WIDTH, _LEFT, _RIGHT = 760, 64, 16
_TOP, _PANEL, _FOOT = 28, 210, 30
_HEIGHT = _TOP + _PANEL + _FOOT
_MOST_DATES = 6

_Points = Sequence[tuple[datetime, float, float | None]]


def _grid(amount: svg.Scale, unit: str) -> Iterator[str]:
    yield svg.text(_LEFT, _TOP - 12, f"Used{f', {unit}' if unit else ''}: the most of each day", weight=600)
    for share in (0.0, 0.5, 1.0):
        value = amount.high / 1.15 * share
        y = amount(value)
        yield (
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{svg.colour("grid")}"/>'
            + svg.text(_LEFT - 8, y + 4, said(float(f"{value:.3g}")), fill="muted", anchor="end")
        )


def _use(points: _Points, time: svg.Scale, amount: svg.Scale) -> Iterator[str]:
    path, before = "", None
    for at, used, _ in points:
        # a line over days without data would claim what nobody measured
        joined = before is not None and at - before <= timedelta(days=2)
        place = f"{time(at.timestamp()):.1f} {amount(used):.1f}"
        path += f"L{place}" if joined else f"M{place}h0"
        before = at
    yield (
        f'<path class="used" d="{path}" fill="none" stroke="{svg.colour("stable")}" stroke-width="2.4" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _limit(points: _Points, limit: float, time: svg.Scale, amount: svg.Scale) -> Iterator[str]:
    """As it was on each day, and from here on as it is."""
    known = [(at, allowed) for at, _, allowed in points if allowed]
    start = known[0] if known else (points[0][0], limit)
    path = f"M{time(start[0].timestamp()):.1f} {amount(start[1]):.1f}"
    for (_, before), (at, allowed) in pairwise(known):
        if allowed != before:
            path += f"H{time(at.timestamp()):.1f}V{amount(allowed):.1f}"
    if known and known[-1][1] != limit:
        path += f"H{time(known[-1][0].timestamp()):.1f}V{amount(limit):.1f}"
    path += f"H{_WIDTH - _RIGHT}"
    yield f'<path class="limit" d="{path}" fill="none" stroke="{svg.colour("limit")}" stroke-width="2"/>'
    yield svg.text(_WIDTH - _RIGHT, amount(limit) - 6, f"limit {said(limit)}", fill="limit", anchor="end", weight=600)


def _band(forecast: Forecast, time: svg.Scale, amount: svg.Scale, until: datetime) -> Iterator[str]:
    if forecast.low is None or forecast.middle is None or forecast.high is None:
        return
    edges = [_line(path, time, amount, until) for path in (forecast.low, forecast.high)]
    edge = "L".join([*edges[1], *reversed(edges[0])])
    middle = _line(forecast.middle, time, amount, until, whole=False)
    yield f'<path class="band" d="M{edge}Z" fill="{svg.colour("canary")}" fill-opacity="0.16" stroke="none"/>'
    yield (
        f'<path class="foreseen" d="M{"L".join(middle)}" fill="none" stroke="{svg.colour("canary")}" '
        'stroke-width="2" stroke-dasharray="5 4"/>'
    )


def _line(path: Path, time: svg.Scale, amount: svg.Scale, until: datetime, *, whole: bool = True) -> list[str]:
    """Places on the drawing; not the `whole` line ends where it leaves the panel at the top."""
    steps = max(1, int((until - path.start) / path.step))
    every = max(1, steps // _AHEAD_DAYS)
    return [
        f"{time((path.start + step * path.step).timestamp()):.1f} {amount(path.at(step)):.1f}"
        for step in range(0, steps + 1, every)
        if whole or step == 0 or path.at(step) <= amount.high
    ]


def _today(now: datetime, time: svg.Scale) -> Iterator[str]:
    x = time(now.timestamp())
    yield (
        f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_TOP + _PANEL}" stroke="{svg.colour("muted")}" '
        'stroke-dasharray="2 4"/>'
    )


def _day(forecast: Forecast, time: svg.Scale, amount: svg.Scale) -> Iterator[str]:
    if forecast.reaches is None or forecast.reaches.timestamp() > time.high:
        return
    x, y = time(forecast.reaches.timestamp()), amount(forecast.limit)
    words, left = str(forecast.reaches.date()), x > _WIDTH - 140
    yield (
        f'<circle class="reaches" cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{svg.colour("canary")}"/>'
        + svg.text(x + (-8 if left else 8), y + 18, words, anchor="end" if left else "start", weight=600)
    )


def _dates(time: svg.Scale) -> Iterator[str]:
    days = (time.high - time.low) / 86_400
    every = max(1, -(-int(days) // _MOST_DATES))
    first = datetime.fromtimestamp(time.low, UTC).date()
    for number in range(0, int(days) + 1, every):
        day = first + timedelta(days=number)
        x = time(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        anchor = "start" if number == 0 else "middle" if x < _WIDTH - 60 else "end"
        yield (
            f'<line x1="{x:.1f}" y1="{_TOP + _PANEL}" x2="{x:.1f}" y2="{_TOP + _PANEL + 4}" '
            f'stroke="{svg.colour("muted")}"/>' + svg.text(x, _TOP + _PANEL + 19, str(day), fill="muted", anchor=anchor)
        )
