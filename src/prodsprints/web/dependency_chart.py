"""A provider's last five minutes as SVG: its attempts, how many failed or were throttled, and its circuit below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prodsprints.controls.providers.dependencies.dependency import Dependency
from prodsprints.controls.providers.dependencies.sighting import SLOT_SECONDS, SLOTS, Slot
from prodsprints.guard import Circuit
from prodsprints.web import svg, words

_STRIP = {Circuit.CLOSED: ("held", 2), Circuit.HALF_OPEN: ("fault", 4), Circuit.OPEN: ("broken", 6)}
_STRIP_ROOM = 10


def timeline(one: Dependency, *, width: int, height: int, style: bool = True) -> str:
    """Sixty bars of five seconds each, the newest on the right; empty before anybody counted."""
    most = highest(one)
    step = width / SLOTS
    y = svg.Scale(0, max(most, 1), 0, height - _STRIP_ROOM)
    shapes: list[str] = []
    for age, slot in enumerate(one.slots):
        if slot is not None:
            shapes += _bar(slot, width - (age + 1) * step, step, y, height)
    title = f"{one.name}, the last five minutes"
    return svg.document("dependency-chart", title, _said(one.slots, most), shapes, (width, height), style)


def highest(one: Dependency) -> int:
    """How many calls the highest bar stands for."""
    return max((slot.attempts + slot.rejected for slot in one.slots if slot), default=0)


def gauge(share: float, said: str, *, style: bool = True) -> str:
    """How much of something is used, from 0 to 1."""
    tone = "broken" if share >= 0.9 else "fault" if share >= 0.7 else "stable"
    shapes = [_rect(0, 0, 100, 6, "grid"), _rect(0, 0, 100 * max(0.0, min(1.0, share)), 6, tone)]
    return svg.document("share-bar", said, said, shapes, (100, 6), style)


def _bar(slot: Slot, x: float, step: float, y: svg.Scale, height: float) -> Iterator[str]:
    ground = height - _STRIP_ROOM
    parts = (
        (slot.failed, "broken"),
        (slot.throttled, "fault"),
        (max(0, slot.attempts - slot.failed - slot.throttled), "stable"),
        (slot.rejected, "muted"),
    )
    done = 0
    for count, colour in parts:
        if count:
            top, bottom = ground - y(done + count), ground - y(done)
            yield _rect(x, top, step - 1, max(bottom - top, 1), colour)
            done += count
    colour, thick = _STRIP[slot.circuit]
    yield _rect(x, height - thick, step, thick, colour)


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{svg.colour(colour)}"/>'


def _said(slots: Iterable[Slot | None], most: int) -> str:
    known = [slot for slot in slots if slot]
    if not known:
        return "Nobody has counted yet."
    total = sum(known[1:], start=known[0])
    not_closed = sum(slot.circuit is not Circuit.CLOSED for slot in known) * SLOT_SECONDS
    return (
        f"{words.count(total.attempts, 'attempt')}, {total.failed:,} failed, {total.throttled:,} throttled, "
        f"{total.rejected:,} rejected; at most {most:,} in five seconds. "
        + (f"The circuit was not closed for about {not_closed:.0f} s." if not_closed else "The circuit stayed closed.")
    )
