"""A service's last days as SVG: a bar for each, as high as the part of the day that was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prodsprints.controls.integrations.uptime import Day, uptime
from prodsprints.web import svg, words


def history_bars(name: str, days: Sequence[Day], *, style: bool = True) -> str:
    """From the oldest day to today. What was not measured stays empty; a triangle or a dot marks a day with trouble."""
    shapes = [shape for place, day in enumerate(days) for shape in _bar(place, day)]
    size = (_PITCH * len(days), _HEIGHT + _MARKS)
    return svg.document("history-bars", f"{name}: the last {len(days)} days", _said(days), shapes, size, style)


_PITCH, _WIDTH, _HEIGHT, _MARKS = 8.0, 6.0, 34.0, 9.0
_LEAST = 4.0  # of 34: an outage of a minute is seen, too


def _bar(place: int, day: Day) -> Iterator[str]:
    x = place * _PITCH + (_PITCH - _WIDTH) / 2
    whole = max(day.over_seconds, day.measured_seconds, 1.0)
    bad = [
        (colour, max(_LEAST, _HEIGHT * seconds / whole))
        for colour, seconds in (("broken", day.down_seconds), ("fault", day.degraded_seconds))
        if seconds > 0
    ]
    measured = max(_HEIGHT * min(1.0, day.measured_seconds / whole), sum(height for _, height in bad))
    yield f"<g><title>{_day(day)}</title>"
    yield _rect(x, 0.0, _HEIGHT, svg.colour("grid"), 0.45)
    y = _HEIGHT - measured
    for colour, height in bad:
        yield _rect(x, y, min(height, _HEIGHT - y), svg.colour(colour))
        y += height
    if day.up_seconds > 0 and y < _HEIGHT:
        yield _rect(x, y, _HEIGHT - y, svg.colour("held"))
    middle, top = x + _WIDTH / 2, _HEIGHT + 2
    if day.down_seconds > 0:
        yield (
            f'<path d="M{middle:.1f} {top:.1f}l3 6h-6z" fill="{svg.colour("broken")}"/>'  # seen without colours, too
        )
    elif day.degraded_seconds > 0:
        yield f'<circle cx="{middle:.1f}" cy="{top + 3:.1f}" r="2.4" fill="{svg.colour("fault")}"/>'
    yield "</g>"


def _rect(x: float, y: float, height: float, fill: str, opacity: float = 1.0) -> str:
    faint = f' opacity="{opacity}"' if opacity < 1 else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{_WIDTH}" height="{height:.1f}" rx="1.5" fill="{fill}"{faint}/>'


def _day(day: Day) -> str:
    parts = [
        f"{name} {words.duration(seconds)}"
        for name, seconds in (
            ("down", day.down_seconds),
            ("degraded", day.degraded_seconds),
            ("up", day.up_seconds),
            ("not measured", day.unmeasured_seconds),
        )
        if seconds >= 1
    ]
    return f"{day.day}: {', '.join(parts) or 'not measured'}"


def _said(days: Sequence[Day]) -> str:
    down = [str(day.day) for day in days if day.down_seconds > 0]
    figures = uptime(days)
    if figures.available_percent is None:
        return "No day was measured."
    trouble = f"Down on {words.listed(down)}." if down else "Never seen down."
    available = f"Available {figures.available_percent:g} % of the measured time"
    return f"{trouble} {available}, which is {figures.measured_percent:g} % of these days."
