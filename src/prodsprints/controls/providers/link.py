"""What the shared parts of one process know of their fleet, without asking: does its store answer, how many are we."""

from __future__ import annotations

import os
import threading
from math import inf
from typing import Any, Protocol

from prodsprints.guard import Clock, GuardMisusedError

# A store that has not answered for so long is taken for down: each process then goes on by itself. One that never
# answered yet is waited for longer: how many share a limit is not known before.
_DOWN_AFTER_SECONDS = 1.0
_NOT_THERE_AFTER_SECONDS = 3.0


class Part(Protocol):
    """A bucket, breaker or budget of this process that speaks to its fleet when the link's thread lets it.

    Both methods are called by that thread only, and neither may block.
    """

    @property
    def name(self) -> str:
        """What all processes call it."""

    def ask(self, now: float) -> dict[str, Any]:
        """What to ask the store for."""

    def answer(self, answer: dict[str, Any], *, sent: float, now: float) -> None:
        """What the store answered to the request that was sent at `sent`."""

    def due(self) -> float:
        """When it wants to ask again; infinity if the next tick will do."""


class Link:
    """Written by the fleet's one thread, read by everybody: single attributes, so that nobody needs a lock."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now
        self.workers = 1
        self.trip_seconds = 0.005
        self._patience_seconds = _NOT_THERE_AFTER_SECONDS
        self._unanswered_since: float = inf
        self._wake = threading.Event()
        self._process = os.getpid()

    def answers(self, now: float) -> bool:
        """Whether the store can be waited for."""
        return now - self._unanswered_since < self._patience_seconds

    def sending(self, now: float) -> None:
        """A request is on its way, or will be in a moment."""
        self._unanswered_since = min(self._unanswered_since, now)

    def answered(self, now: float, *, sent: float, workers: int) -> None:
        """It was answered."""
        self._patience_seconds = _DOWN_AFTER_SECONDS
        self._unanswered_since = inf
        self.workers = max(1, workers)
        self.trip_seconds = 0.8 * self.trip_seconds + 0.2 * (now - sent)

    def wake(self) -> None:
        """Have the thread ask now."""
        if not self._wake.is_set():
            self._wake.set()

    def wait(self, seconds: float) -> None:
        """What the thread does between two requests."""
        self._wake.wait(max(0.0, seconds))
        self._wake.clear()

    def require_own_process(self, what: str) -> None:
        """Refuse in a forked child, where the thread that would renew everything is not."""
        if os.getpid() != self._process:
            raise GuardMisusedError(
                f"This {what} belongs to the fleet of the process that forked.",
                why="The thread that speaks to the fleet's store stayed there.",
                next_step="Build a Fleet, and the guards on it, in the child.",
            )
