"""One arm of a drill as SVG: each call of the subject as a dot, the fault as a band over them, the probes below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from prodsprints.drills.arms import Look, Sample
from prodsprints.drills.stage import Arm
from prodsprints.web import svg, words
from prodsprints.web.drill_view import ArmView


@dataclass(frozen=True)
class Axes:
    """What both arms are drawn against, so that one look compares them: the longest time, fastest and slowest call."""

    until: float
    fastest: float
    slowest: float

    @staticmethod
    def of(arms: Iterable[ArmView]) -> Axes:
        """The axes that hold everything in `arms`."""
        arms = list(arms)
        took = [sample.seconds for arm in arms for sample in arm.samples if sample.seconds > 0] or [0.001, 1.0]
        return Axes(max([1.0, *(arm.seconds for arm in arms)]), min(took), max(took))


def drill_chart(arm: ArmView, fault: str, axes: Axes, *, style: bool = True) -> str:
    """The calls of one arm over time, under the fault that `fault` says in words.

    A page whose policy forbids `<style>`, and that gives all the colours itself, asks to leave it out.
    """
    time = svg.Scale(0, axes.until, _LEFT, _WIDTH - _RIGHT)
    low, high = floor(log10(axes.fastest)), ceil(log10(axes.slowest))
    latency = svg.Scale(low, max(high, low + 1), _BOTTOM, _TOP)
    shapes = [
        *_grid(latency),
        *_phases(arm, time),
        *_fault(arm, time),
        *_calls(arm.samples, time, latency),
        *_probes(arm.looks, time),
        *svg.time_axis(time, _PROBES + 14),
    ]
    title = "With the control" if arm.arm is Arm.TREATMENT else "Placebo: the bare peer"
    return svg.document("drill-chart", title, _said(arm, fault), shapes, (_WIDTH, _HEIGHT), style)


_WIDTH, _LEFT, _RIGHT = 560, 58, 12
_TOP, _BOTTOM = 44, 178
_PROBES = 196
_HEIGHT = 236
_MOST_DOTS = 900
_PX_PER_LETTER = 6.4


def _grid(latency: svg.Scale) -> Iterator[str]:
    for power in range(round(latency.low), round(latency.high) + 1):
        y = latency(power)
        yield (
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{svg.colour("grid")}"/>'
            + svg.text(_LEFT - 8, y + 4, _latency(10.0**power), fill="muted", anchor="end")
        )
    yield svg.text(_LEFT - 8, _PROBES + 4, "probes", fill="muted", anchor="end")


def _phases(arm: ArmView, time: svg.Scale) -> Iterator[str]:
    """A line where each phase begins, and its name where there is room for it."""
    ends = [*(at for _, at in arm.phases[1:]), arm.seconds]
    for (name, began), ended in zip(arm.phases, ends, strict=False):
        left, right = time(began), time(ended)
        yield (
            f'<line x1="{left:.1f}" y1="{_TOP - 24}" x2="{left:.1f}" y2="{_PROBES + 10}" '
            f'stroke="{svg.colour("grid")}"/>'
        )
        if right - left >= _PX_PER_LETTER * len(name) + 8:
            yield svg.text(left + 4, _TOP - 16, name, fill="muted")


def _fault(arm: ArmView, time: svg.Scale) -> Iterator[str]:
    """A hatched band, so that it is one in black and white, too."""
    if arm.fault_began is None:
        return
    left = time(arm.fault_began)
    width = max(2.0, time(arm.seconds if arm.fault_ended is None else arm.fault_ended) - left)
    ink = svg.colour("fault")
    yield (
        f'<pattern id="hatch-{arm.arm}" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="7" '
        f'stroke="{ink}" stroke-width="1.4" stroke-opacity=".38"/></pattern>'
        f'<rect class="fault" x="{left:.1f}" y="{_TOP - 8}" width="{width:.1f}" height="{_PROBES + 10 - _TOP + 8}" '
        f'fill="url(#hatch-{arm.arm})"/>'
        f'<rect x="{left:.1f}" y="{_TOP - 8}" width="{width:.1f}" height="3" fill="{ink}"/>'
    )
    if width >= _PX_PER_LETTER * len(_WORD):
        yield svg.text(left + 4, 12, _WORD, fill="fault", weight=600)
    else:
        yield svg.text(min(left, _WIDTH - _RIGHT), 12, _WORD, fill="fault", weight=600, anchor="end")


_WORD = "the fault"


def _calls(samples: Sequence[Sample], time: svg.Scale, latency: svg.Scale) -> Iterator[str]:
    held = [sample for sample in samples if sample.ok]
    broken = [sample for sample in samples if not sample.ok]
    if not samples:
        yield svg.text(
            (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _BOTTOM) / 2, "No call yet", fill="muted", anchor="middle"
        )
    if held:
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in _places(_thinned(held), time, latency))
        yield (
            f'<path class="held" d="{dots}" stroke="{svg.colour("held")}" stroke-width="5" stroke-linecap="round" '
            'stroke-opacity=".8" fill="none"/>'
        )
    if broken:
        crosses = "".join(f"M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6" for x, y in _places(_thinned(broken), time, latency))
        yield f'<path class="broken" d="{crosses}" stroke="{svg.colour("broken")}" stroke-width="1.8" fill="none"/>'


def _places(samples: Iterable[Sample], time: svg.Scale, latency: svg.Scale) -> Iterator[tuple[float, float]]:
    for sample in samples:
        yield time(sample.at), latency(log10(sample.seconds) if sample.seconds > 0 else latency.low)


def _thinned(samples: list[Sample]) -> list[Sample]:
    """At most `_MOST_DOTS`: of each stretch the slowest, so that no pause is lost."""
    stride = ceil(len(samples) / _MOST_DOTS)
    stretches = (samples[start : start + stride] for start in range(0, len(samples), stride))
    return [max(stretch, key=lambda sample: sample.seconds) for stretch in stretches]


def _probes(looks: Sequence[Look], time: svg.Scale) -> Iterator[str]:
    for look in looks:
        x = time(look.at)
        ink = svg.colour("held" if look.holds else "broken")
        mark = f"M{x - 4:.1f} {_PROBES}l3 4l6 -8" if look.holds else f"M{x - 4:.1f} {_PROBES - 4}l8 8m0-8l-8 8"
        yield f'<path d="{mark}" stroke="{ink}" stroke-width="2" fill="none" stroke-linecap="round"/>'


def _said(arm: ArmView, fault: str) -> str:
    """The same in words, for who cannot see it."""
    calls = f"{words.count(len(arm.samples), 'call')}, {arm.calls_broken} of them broken."
    when = f" {fault[:1].upper()}{fault[1:]}." if fault else ""
    if arm.fault_began is not None:
        ended = "and goes on" if arm.fault_ended is None else f"until {svg.at(arm.fault_ended)}"
        when += f" The fault begins at {svg.at(arm.fault_began)} {ended}."
    broke = [look.name for look in arm.looks if not look.holds]
    return f"{calls}{when} {words.count(len(arm.looks), 'probe')} looked at; {len(broke)} broke."


def _latency(seconds: float) -> str:
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"
