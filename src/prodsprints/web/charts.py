"""The canary chart as SVG, for the pages: how both arms fared, how the evidence grew, and how sure we are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor, isinf, log, log10

from prodsprints.release.verdict import Arm, Tick, Verdict
from prodsprints.web import svg


def canary_chart(ticks: Sequence[Tick], verdicts: Sequence[Verdict], *, style: bool = True) -> str:
    """Three panels over one time axis: error rates so far, e-value, bound; `verdicts[i]` is after `ticks[i]`.

    A page whose policy forbids `<style>`, and that gives all the colours itself, asks to leave it out.
    """
    if len(ticks) != len(verdicts):
        raise ValueError(f"{len(ticks)} ticks but {len(verdicts)} verdicts: each tick has its own")
    if not ticks:
        return svg.document(
            "canary-chart",
            "Canary",
            "No traffic yet.",
            [svg.text(_WIDTH / 2, 60, "No traffic yet", anchor="middle")],
            (_WIDTH, 100),
            style,
        )
    last = verdicts[-1]
    time = svg.Scale(0, max(ticks[-1].at, 1e-9), _LEFT, _LEFT + _PLOT_WIDTH)
    every = list(zip([tick.at for tick in ticks], _until_rejected(verdicts), strict=False))
    points = _thinned(every)
    shapes = [
        *_weights(ticks, time),
        *_rates(points, time, _panel(0)),
        *_evidence(points, time, _panel(1)),
        *_bounds(points, time, _panel(2)),
        *_decision(every, time),
        *svg.time_axis(time, _BOTTOM),
    ]
    title = f"Canary {last.canary.label} beside {last.stable.label}"
    return svg.document("canary-chart", title, last.sentence, shapes, (_WIDTH, _HEIGHT), style)


_Point = tuple[float, Verdict]

_WIDTH, _LEFT, _RIGHT = 760, 52, 138
_PLOT_WIDTH = _WIDTH - _LEFT - _RIGHT
_STRIP, _TOP, _PANEL_HEIGHT, _PANEL_GAP, _FOOT = 24, 82, 92, 40, 34
_HEIGHT = _TOP + 3 * _PANEL_HEIGHT + 2 * _PANEL_GAP + _FOOT
_BOTTOM = _HEIGHT - _FOOT
_LABEL_DISTANCE = 15
_LONGEST_LABEL = 10
_MOST_POINTS = 360


@dataclass(frozen=True)
class _Panel:
    top: float
    bottom: float

    def scale(self, low: float, high: float) -> svg.Scale:
        return svg.Scale(low, high, self.bottom, self.top)


def _panel(index: int) -> _Panel:
    top = _TOP + index * (_PANEL_HEIGHT + _PANEL_GAP)
    return _Panel(top, top + _PANEL_HEIGHT)


def _until_rejected(verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """After a rejection the verdict stands still: nothing more to draw."""
    for verdict in verdicts:
        yield verdict
        if verdict.decision == "reject":
            return


def _thinned(points: list[_Point]) -> list[_Point]:
    """At most `_MOST_POINTS`: of each stretch the strongest evidence, so that no crossing is lost, and the last one."""
    stride = ceil(len(points) / _MOST_POINTS)
    if stride == 1:
        return points
    stretches = (points[start : start + stride] for start in range(0, len(points), stride))
    strongest = [max(stretch, key=lambda point: point[1].log_e_value) for stretch in stretches]
    return strongest if strongest[-1] == points[-1] else [*strongest, points[-1]]


def _weights(ticks: Sequence[Tick], time: svg.Scale) -> Iterator[str]:
    yield svg.text(_LEFT - 8, _STRIP + 18, "weight", fill="muted", anchor="end")
    start = 0.0
    for weight, group in groupby(ticks, key=lambda tick: tick.weight):
        end = [tick.at for tick in group][-1]
        left, right = time(start), time(end)
        opacity = 0.04 + 0.1 * (weight / 100) ** 0.5
        yield (
            f'<rect x="{left:.1f}" y="{_STRIP}" width="{right - left:.1f}" height="{_BOTTOM - _STRIP}" '
            f'fill="{svg.colour("muted")}" fill-opacity="{opacity:.3f}"/>'
        )
        if right - left >= 40:
            yield svg.text(left + 8, _STRIP + 18, f"{weight:g} %", fill="muted", weight=600)
        start = end


def _rates(points: Sequence[_Point], time: svg.Scale, panel: _Panel) -> Iterator[str]:
    last = points[-1][1]
    highest = [100 * max(verdict.canary.rate, verdict.stable.rate) for _, verdict in points]
    top = _nice_above(1.2 * max(highest[len(highest) // 4 :]))  # one error in the first ten requests is not the scale
    mark = "+" if max(highest) > top else ""
    scale = panel.scale(0, top)
    yield from _frame(panel, "Requests answered with an error so far")
    yield from _grid(scale, [0, top / 2, top], lambda value: f"{value:g} %{mark if value == top else ''}")
    for arm in ("stable", "canary"):
        rates: list[tuple[float, float]] = [(at, 100 * getattr(verdict, arm).rate) for at, verdict in points]
        yield _line(rates, time, scale, arm)
    yield from _end_labels(
        [
            (scale(100 * last.canary.rate), _arm(last.canary), "canary"),
            (scale(100 * last.stable.rate), _arm(last.stable), "stable"),
        ]
    )


def _evidence(points: Sequence[_Point], time: svg.Scale, panel: _Panel) -> Iterator[str]:
    last = points[-1][1]
    threshold = last.log_threshold / log(10)
    values = [(at, verdict.log_e_value / log(10)) for at, verdict in points]
    high = max(3, ceil(max(value for _, value in values)))
    low = -2 if min(value for _, value in values) < -1 else -1
    scale = panel.scale(low, high)
    yield from _frame(panel, "Evidence that it errs more often (e-value, logarithmic)")
    yield from _grid(scale, [0, high] if low == -1 else [low, 0, high], _power)
    yield _limit(scale(threshold))
    yield _line(values, time, scale, "canary")
    yield from _end_labels(
        [
            (scale(threshold), f"reject at {last.threshold:.0f}", "limit"),
            (scale(values[-1][1]), _short(values[-1][1]), "canary"),
        ]
    )


def _bounds(points: Sequence[_Point], time: svg.Scale, panel: _Panel) -> Iterator[str]:
    last = points[-1][1]
    delta = 100 * last.delta
    values = [(at, 100 * verdict.bound) for at, verdict in points]
    high = min(100.0, 4 * delta)
    low = min(0.0, floor(min(value for _, value in values) / delta) * delta)
    scale = panel.scale(max(low, -high), high)
    yield from _frame(panel, f"Its error rate is higher by at most ({100 * last.confidence:g} % confidence)")
    yield from _grid(
        scale, sorted({scale.low, 0.0, high}), lambda value: f"{value:g} %{'+' if value == high < 100 else ''}"
    )
    yield _limit(scale(delta))
    yield _line(values, time, scale, "canary")
    yield from _end_labels(
        [
            (scale(delta), f"keep below {delta:g} %", "limit"),
            (scale(values[-1][1]), f"{values[-1][1]:.2g} %" if values[-1][1] < 100 else "not known yet", "canary"),
        ]
    )


def _decision(points: Sequence[_Point], time: svg.Scale) -> Iterator[str]:
    """A line where the canary was first rejected, or could first be kept."""
    for at, verdict in points:
        if verdict.decision != "insufficient":
            x = time(at)
            colour = "limit" if verdict.decision == "reject" else "ink"
            word = "rejected" if verdict.decision == "reject" else "good to keep"
            for panel in map(_panel, range(3)):
                yield (
                    f'<line x1="{x:.1f}" y1="{panel.top}" x2="{x:.1f}" y2="{panel.bottom}" '
                    f'stroke="{svg.colour(colour)}" stroke-width="1.5"/>'
                )
            left_half = x < _LEFT + _PLOT_WIDTH / 2
            yield svg.text(
                x,
                _STRIP - 8,
                f"{word} at {svg.at(at)}",
                fill=colour,
                anchor="start" if left_half else "end",
                weight=600,
            )
            return


def _frame(panel: _Panel, title: str) -> Iterator[str]:
    yield svg.text(_LEFT, panel.top - 10, title, weight=600)


def _grid(scale: svg.Scale, values: Iterable[float], label: Callable[[float], str]) -> Iterator[str]:
    for value in values:
        y = scale(value)
        yield (
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _PLOT_WIDTH}" y2="{y:.1f}" stroke="{svg.colour("grid")}"/>'
            + svg.text(_LEFT - 8, y + 4, label(value), fill="muted", anchor="end")
        )


def _limit(y: float) -> str:
    return (
        f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _PLOT_WIDTH}" y2="{y:.1f}" stroke="{svg.colour("limit")}" '
        'stroke-width="1.5" stroke-dasharray="5 4"/>'
    )


def _line(values: Sequence[tuple[float, float]], time: svg.Scale, scale: svg.Scale, colour: str) -> str:
    path = " ".join(f"{time(at):.1f},{scale(value):.1f}" for at, value in values)
    x, y = path.rsplit(" ", 1)[-1].split(",")
    ink = svg.colour(colour)
    return (
        f'<polyline points="{path}" fill="none" stroke="{ink}" stroke-width="2" stroke-linejoin="round"/>'
        f'<circle cx="{x}" cy="{y}" r="3" fill="{ink}"/>'
    )


def _end_labels(labels: Sequence[tuple[float, str, str]]) -> Iterator[str]:
    """Labels right of the plot, pushed apart where they would overlap."""
    lower, upper = sorted(labels, reverse=True)
    push = max(0.0, _LABEL_DISTANCE - (lower[0] - upper[0])) / 2
    for (y, text, colour), shift in ((lower, push), (upper, -push)):
        yield svg.text(_LEFT + _PLOT_WIDTH + 10, y + shift + 4, text, fill=colour, weight=600)


def _arm(arm: Arm) -> str:
    label = arm.label if len(arm.label) <= _LONGEST_LABEL else f"{arm.label[:4]}…{arm.label[5 - _LONGEST_LABEL :]}"
    return f"{label} {100 * arm.rate:.2g} %"


def _nice_above(value: float) -> float:
    """The next of 1, 2, 5 × 10ⁿ above `value`, at least 1."""
    if value <= 1:
        return 1
    magnitude = 10 ** floor(log10(value))
    return float(min(100, next(factor * magnitude for factor in (1, 2, 5, 10) if value <= factor * magnitude)))


def _power(exponent: float) -> str:
    if -2 <= exponent <= 4:
        return f"{10**exponent:,g}"
    superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{superscript}"


def _short(exponent: float) -> str:
    if isinf(exponent) or exponent < -2:
        return "below 0.01"
    return (
        f"{10**exponent:,.2g}" if exponent < 1 else f"{10**exponent:,.0f}" if exponent < 5 else _power(floor(exponent))
    )
