"""How the register moved as SVG: day by day which rows were good and which were not, and what was left of the risks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from prodsprints.register.status import Counts
from prodsprints.register.trend import Point
from prodsprints.web import svg, words

KEYS = (("proven", "held"), ("attested", "stable"), ("stale", "fault"), ("failing", "broken"))
"""What is drawn of each day, from the bottom, and in which colour; `failing` with all that is worse."""


def trend_chart(points: Sequence[Point], *, style: bool = True) -> str:
    """Two panels over the same days: rows by status, and expected events a year."""
    days = svg.Scale(-0.5, len(points) - 0.5, _LEFT, _WIDTH - _RIGHT)
    most = max(1, *(sum(_stack(point.counts)) for point in points))
    events = max((point.events_per_year for point in points), default=0.0)
    rows = svg.Scale(0, most, _TOP + _PANEL, _TOP)
    below = _TOP + _PANEL + _GAP
    left = svg.Scale(0, events * 1.05 or 1.0, below + _PANEL, below)
    shapes = [
        *_panel("Rows", rows, lambda value: f"{value:.0f}"),
        *_bars(points, days, rows),
        *_panel("Events a year that are left of all risks", left, lambda value: f"{value:.3g}"),
        *_steps(points, days, left),
        *_days(points, days, below + _PANEL),
    ]
    return svg.document("trend-chart", "How the register moved", _said(points), shapes, (_WIDTH, _HEIGHT), style)


_WIDTH, _LEFT, _RIGHT = 760, 48, 12
_TOP, _PANEL, _GAP, _FOOT = 26, 130, 50, 30
_HEIGHT = _TOP + 2 * _PANEL + _GAP + _FOOT
_MOST_DATES = 7


def _stack(counts: Counts) -> tuple[int, ...]:
    return counts.proven, counts.attested, counts.stale, counts.failing + counts.contradicted + counts.invalid


def _panel(name: str, scale: svg.Scale, said: Callable[[float], str]) -> Iterator[str]:
    yield svg.text(_LEFT, scale.end - 10, name, weight=600)
    for value in (scale.low, scale.high):
        y = scale(value)
        yield (
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{svg.colour("grid")}"/>'
            + svg.text(_LEFT - 8, y + 4, said(value), fill="muted", anchor="end")
        )


def _bars(points: Sequence[Point], days: svg.Scale, rows: svg.Scale) -> Iterator[str]:
    width = max(1.0, (days(1) - days(0)) * 0.82)
    for day, point in enumerate(points):
        low = 0
        for (name, colour), count in zip(KEYS, _stack(point.counts), strict=True):
            if count:
                top, bottom = rows(low + count), rows(low)
                yield (
                    f'<rect class="{name}" x="{days(day) - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" '
                    f'height="{bottom - top:.1f}" fill="{svg.colour(colour)}"/>'
                )
            low += count


def _steps(points: Sequence[Point], days: svg.Scale, left: svg.Scale) -> Iterator[str]:
    path = f"M{days(-0.5):.1f} {left(points[0].events_per_year):.1f}"
    for day, (_, point) in enumerate(pairwise(points), start=1):
        path += f"H{days(day - 0.5):.1f}V{left(point.events_per_year):.1f}"
    path += f"H{days(len(points) - 0.5):.1f}"
    yield f'<path d="{path}" fill="none" stroke="{svg.colour("canary")}" stroke-width="2"/>'


def _days(points: Sequence[Point], days: svg.Scale, y: float) -> Iterator[str]:
    every = -(-len(points) // _MOST_DATES)
    for day in range(len(points) - 1, -1, -every):
        x, anchor = (_WIDTH - _RIGHT, "end") if day == len(points) - 1 else (days(day), "middle")
        yield svg.text(x, y + 19, str(points[day].day), fill="muted", anchor=anchor)


def _said(points: Sequence[Point]) -> str:
    first, last = points[0], points[-1]
    return f"{words.count(len(points), 'day')}. {first.day}: {_counted(first)}. {last.day}: {_counted(last)}."


def _counted(point: Point) -> str:
    proven, attested, stale, bad = _stack(point.counts)
    return (
        f"{proven} proven, {attested} attested, {stale} stale, {bad} failing or worse, "
        f"{point.events_per_year:.3g} events a year left"
    )
