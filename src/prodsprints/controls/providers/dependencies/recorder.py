"""Keeps the last five minutes of this process' guards, from one look at their snapshots to the next; no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from prodsprints.controls.providers.dependencies.sighting import SLOT_SECONDS, SLOTS, Sighting, Slot
from prodsprints.guard import Durations, Outcome, Snapshot
from prodsprints.guard.telemetry import BOUNDS_SECONDS

_NOTHING = Durations(BOUNDS_SECONDS, (0,) * (len(BOUNDS_SECONDS) + 1), 0.0)


class Recorder:
    """One per process."""

    def __init__(self) -> None:
        self._tracks: dict[str, _Track] = {}

    def look(self, snapshots: Iterable[Snapshot], now: float) -> list[Sighting]:
        """What there is to tell at the monotonic moment `now`, of all of `snapshots`."""
        return [self._tracks.setdefault(one.name, _Track(now)).look(one, now) for one in snapshots]


class _Track:
    """One guard's recent past. What was counted before its first look counts as old, since nobody knows when it was."""

    def __init__(self, now: float) -> None:
        self._slot = _slot_of(now)
        self._slots: deque[Slot] = deque([Slot()], maxlen=SLOTS)
        # all attempts until the end of each slot, the newest first
        self._ends: deque[Durations] = deque(maxlen=SLOTS)
        self._before: Snapshot | None = None

    def look(self, seen: Snapshot, now: float) -> Sighting:
        attempts = _total(seen.attempts.values())
        before = self._before
        if before is None:
            self._ends.appendleft(attempts)
        # after a pause, of a suspended machine say, the slots without a look are empty
        for _ in range(min(_slot_of(now) - self._slot, SLOTS)):
            self._slots.appendleft(Slot())
            self._ends.appendleft(_total(before.attempts.values()) if before else attempts)
        self._slot = _slot_of(now)
        self._slots[0] += _between(before or seen, seen)
        self._before = seen
        return Sighting(seen, tuple(self._slots), now - self._slot * SLOT_SECONDS, _less(attempts, self._ends[-1]))


def _slot_of(now: float) -> int:
    return int(now // SLOT_SECONDS)


def _between(before: Snapshot, after: Snapshot) -> Slot:
    return Slot(
        attempts=_attempts(after) - _attempts(before),
        failed=_failed(after) - _failed(before),
        throttled=after.throttled - before.throttled,
        rejected=sum(after.rejections.values()) - sum(before.rejections.values()),
        circuit=after.circuit,
    )


def _attempts(seen: Snapshot) -> int:
    return sum(durations.calls for durations in seen.attempts.values())


def _failed(seen: Snapshot) -> int:
    return sum(
        seen.attempts[outcome].calls for outcome in (Outcome.FAILED, Outcome.TIMED_OUT) if outcome in seen.attempts
    )


def _total(all_of: Iterable[Durations]) -> Durations:
    return sum(all_of, start=_NOTHING)


def _less(later: Durations, earlier: Durations) -> Durations:
    counts = tuple(one - other for one, other in zip(later.counts, earlier.counts, strict=True))
    return Durations(later.bounds, counts, max(0.0, later.seconds - earlier.seconds))
