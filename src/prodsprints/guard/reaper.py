"""Time-outs for asynchronous calls: one timer for all calls of a guard, in place of a timer for each."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Task, TimerHandle
from collections.abc import Callable
from typing import Any

from prodsprints.guard.errors import CallTimeoutError

_GRAIN_SECONDS = 0.01

Pending = tuple[float, "Task[Any]"]


class Reaper:
    """Cancels tasks whose call takes longer than `seconds`, up to 10 ms late.

    All calls get the same time, so they run out in the order in which they began: a dict keeps that order, and lets a
    call leave from the middle. An entry holds when the call began and its task; None takes its place once the time
    is up. The fused path makes entries by itself, and `settles` what became of one.
    """

    __slots__ = ("_loop", "_now", "_seconds", "pending", "serial", "timer")

    def __init__(self, loop: AbstractEventLoop, seconds: float, now: Callable[[], float]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._now = now
        self.pending: dict[int, Pending | None] = {}
        self.serial = 0
        self.timer: TimerHandle | None = None

    def arm(self) -> None:
        """Start the timer; it stops by itself when nothing is pending."""
        self.timer = self._loop.call_later(self._seconds, self._reap)

    def settle(self, serial: int, task: Task[Any], cancelling: int, error: BaseException) -> BaseException:
        """`error`, or the time-out that it stands for: a cancellation by this reaper, and by nobody else.

        `cancelling` is how many cancellations had been asked of `task` before, as in asyncio.timeout.
        """
        if self.pending.pop(serial) is not None:
            return error
        if task.uncancel() <= cancelling and isinstance(error, CancelledError):
            return timed_out(self._seconds)
        return error

    def _reap(self) -> None:
        now = self._now()
        for serial, entry in self.pending.items():
            if entry is None:
                continue
            began, task = entry
            rest = began + self._seconds - now
            if rest > 0:
                self.timer = self._loop.call_later(max(rest, _GRAIN_SECONDS), self._reap)
                return
            self.pending[serial] = None
            task.cancel(f"the call took longer than {self._seconds:g} s")
        self.timer = None


def timed_out(seconds: float) -> CallTimeoutError:
    return CallTimeoutError(
        f"The provider did not answer within {seconds:g} s.",
        next_step="Try again later if it is safe to ask twice, or give the guard a longer time-out.",
    )
