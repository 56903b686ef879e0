"""What one attempt may know, for functions that ask for it (`Guard.with_attempt`)."""

from __future__ import annotations

from collections.abc import Callable

from prodsprints.guard.keys import Key


class Attempt:
    """Handed to the function as its first argument: the key to use, and the time there is."""

    __slots__ = ("_ends_at", "_now", "key")

    def __init__(self, key: Key, ends_at: float, now: Callable[[], float]) -> None:
        self.key = key
        self._ends_at = ends_at
        self._now = now

    @property
    def remaining_seconds(self) -> float:
        """The time-out to give to a client; a synchronous call cannot be interrupted by anybody else."""
        return max(0.0, self._ends_at - self._now())
