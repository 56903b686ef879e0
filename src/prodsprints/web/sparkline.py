"""An indicator's last days as SVG: small enough to stand in a table, with its threshold as a line."""

from __future__ import annotations

from collections.abc import Iterator

from prodsprints.register.kris import Point, Reading
from prodsprints.web import svg, words


def sparkline(reading: Reading, *, style: bool = True) -> str:
    """A dot for each day with data, joined where days follow each other; days without data stay empty."""
    known = [point.value for point in reading.series if point.value is not None]
    low, high = min([*known, reading.indicator.breach]), max([*known, reading.indicator.breach])
    margin = (high - low or abs(high) or 1.0) * 0.1
    x = svg.Scale(0, max(1, len(reading.series) - 1), _MARGIN, _WIDTH - _MARGIN)
    y = svg.Scale(low - margin, high + margin, _HEIGHT - _MARGIN, _MARGIN)
    shapes = [*_threshold(reading, y), *(_line(reading.series, x, y) if known else ())]
    return svg.document("sparkline", reading.indicator.name, _said(reading), shapes, (_WIDTH, _HEIGHT), style)


_WIDTH, _HEIGHT, _MARGIN = 180, 34, 4


def _threshold(reading: Reading, y: svg.Scale) -> Iterator[str]:
    at = y(reading.indicator.breach)
    yield (
        f'<line x1="{_MARGIN}" y1="{at:.1f}" x2="{_WIDTH - _MARGIN}" y2="{at:.1f}" stroke="{svg.colour("limit")}" '
        'stroke-dasharray="3 3"/>'
    )


def _line(series: tuple[Point, ...], x: svg.Scale, y: svg.Scale) -> Iterator[str]:
    path, pen = "", "M"
    for day, point in enumerate(series):
        if point.value is None:
            pen = "M"
            continue
        place = f"{x(day):.1f} {y(point.value):.1f}"
        path += f"{pen}{place}" + ("h0" if pen == "M" else "")  # a day alone is a dot
        pen = "L"
    yield (
        f'<path d="{path}" fill="none" stroke="{svg.colour("stable")}" stroke-width="2.4" stroke-linecap="round" '
        'stroke-linejoin="round"/>'
    )


def _said(reading: Reading) -> str:
    days = [point for point in reading.series if point.value is not None]
    if not days:
        return "No day has data."
    first, last = days[0], days[-1]
    ends = f"{first.value:.4g} on {first.day}, {last.value:.4g} on {last.day}"
    return f"{words.count(len(days), 'day')} with data: {ends}."
