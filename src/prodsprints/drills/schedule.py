"""When which drill is due: a pure function of when it last ran, spread so that not all come at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

JITTER = 0.2


@dataclass(frozen=True)
class Slot:
    """One drill of one tenant in one environment, and how often it is to be run."""

    tenant_id: UUID
    row: str
    variant: str
    environment: str
    every: timedelta = timedelta(days=1)


def due(slots: Iterable[Slot], last: Mapping[Slot, datetime], now: datetime, *, since: datetime) -> tuple[Slot, ...]:
    """The slots whose time has come, the longest overdue first.

    `last` says when a slot was last asked for, by whomever; one that never was counts from `since`. Each run is due up
    to a fifth of its interval early, by an amount that depends on slot and last run: reproducible, and different each
    time, so that drills which once ran together drift apart. Never late: evidence must not get stale by jitter.
    """
    overdue = [(now - _next(slot, last, since), slot) for slot in slots]
    ripe = [(by, slot) for by, slot in overdue if by >= timedelta(0)]
    return tuple(slot for _, slot in sorted(ripe, key=lambda pair: (-pair[0], pair[1].row, pair[1].variant)))


def _next(slot: Slot, last: Mapping[Slot, datetime], since: datetime) -> datetime:
    previous = last.get(slot)
    if previous is None:
        return since + slot.every * (JITTER * _share(slot, since))
    return previous + slot.every * (1 - JITTER * _share(slot, previous))


def _share(slot: Slot, moment: datetime) -> float:
    """A number from 0 to 1 that only slot and moment decide."""
    text = f"{slot.tenant_id} {slot.row} {slot.variant} {slot.environment} {moment.timestamp():.6f}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
