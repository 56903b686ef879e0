"""Guards that have seen something, and what a process would tell of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from guard.support_clock import ManualClock
from prodsprints.controls.providers.dependencies.board import Posted
from prodsprints.controls.providers.dependencies.recorder import Recorder
from prodsprints.controls.providers.dependencies.sighting import Sighting
from prodsprints.guard import (
    CircuitBreaker,
    CircuitOpenError,
    Guard,
    Key,
    KeyPool,
    RateLimiter,
    RateLimitError,
    Retry,
)

ENDS: dict[str, Exception | None] = {
    "answer": None,
    "failure": ConnectionResetError(),
    "throttled": RateLimitError(30),
}


class World:
    """One process with one guard, and a clock that both share."""

    def __init__(self, name: str = "github", **options: Any) -> None:
        self.clock = ManualClock()
        self.recorder = Recorder()
        self.guard = Guard(
            name,
            clock=self.clock,
            retry=Retry.never(),
            breaker=CircuitBreaker(failure_threshold=3),
            keys=KeyPool(
                [Key("main", secret="sesame-open-sesame"), Key("spare", scope="other")],
                quota=lambda _: RateLimiter(rate=20, burst=100),
            ),
            **options,
        )
        self.look()

    def call(self, ends: Iterable[str], *, seconds: float = 0.1) -> None:
        """One call for each, which takes so long."""
        for end in ends:
            with contextlib.suppress(ConnectionResetError, RateLimitError, CircuitOpenError):
                self.guard(self._provider)(ENDS[end], seconds)

    def _provider(self, end: Exception | None, seconds: float) -> None:
        self.clock.seconds += seconds
        if end is not None:
            raise end

    def look(self) -> Sighting:
        (seen,) = self.recorder.look([self.guard.snapshot()], self.clock.seconds)
        return seen


def shared(seen: Sighting) -> Sighting:
    """As if the fleet spent the buckets."""
    snapshot = seen.snapshot
    quotas = tuple(replace(quota, shared=f"{snapshot.name}/{quota.scope}") for quota in snapshot.quotas)
    return replace(seen, snapshot=replace(snapshot, quotas=quotas))


def posted(seen: Sighting, worker: str = "w-1", age: float = 1.0) -> Posted:
    return Posted(worker, seen, age)
