"""The moment by which what is under way has to end: whoever is called inside a guarded call knows it, and keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from math import inf
from threading import get_ident
from types import TracebackType

from prodsprints.guard import checks
from prodsprints.guard.clock import SYSTEM, Clock


class deadline:  # noqa: N801 - reads as a statement
    """`with deadline(2.5):` no guarded call inside, synchronous or not, lasts beyond these seconds.

    Tasks that are begun inside keep it too, and so does `asyncio.to_thread`. It interrupts nothing by itself; guards
    do. Deadlines nest, and the earliest one counts.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = checks.positive("seconds", seconds)
        self._outer: float | Extent = inf

    def __enter__(self) -> None:
        self._outer = current.get()
        current.set(min(ends_at(), time.monotonic() + self._seconds))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current.set(self._outer)


def remaining_seconds() -> float:
    """What is left for the attempt of a guarded call or the `with deadline` that we are in: infinity outside of any, 0
    once it is over.

    Give it to a client that is called inside, as its time-out.
    """
    return max(0.0, ends_at() - time.monotonic())


class Extent:
    """How long what is under way in one thread may last.

    Synchronous calls change `ends_at` for as long as they run, which costs less than a new value for the context: in
    one thread they nest, so that each one finds it as it left it. A context that was copied into another thread brings
    an extent that is not that thread's own: only its `base`, which never changes, holds there.
    """

    __slots__ = ("base", "ends_at", "thread")

    def __init__(self, ends_at: float, thread: int) -> None:
        self.base = self.ends_at = ends_at
        self.thread = thread


current: ContextVar[float | Extent] = ContextVar("prodsprints_deadline", default=inf)
"""The moment, by `time.monotonic()`: as coroutines and `with deadline` say it, or in the extent of a thread."""


def ends_at() -> float:
    """The moment by which all that we are in has to end."""
    found = current.get()
    if type(found) is Extent:
        return found.ends_at if found.thread == get_ident() else found.base
    return found  # type: ignore[return-value]


def extent() -> Extent:
    """This thread's extent, a new one if need be."""
    found = current.get()
    if type(found) is not Extent or found.thread != get_ident():
        found = Extent(ends_at(), get_ident())
        current.set(found)
    return found


def extents_of(clock: Clock) -> Callable[[], float | Extent]:
    """How synchronous calls find their extent; a guard whose time is not the machine's has no part in it."""
    return current.get if clock is SYSTEM else lambda: Extent(inf, get_ident())


def moments_of(clock: Clock) -> tuple[Callable[[], float | Extent], Callable[[float | Extent], object]]:
    """How coroutines find the moment, and how they keep one; the same holds for a clock of one's own."""
    return (current.get, current.set) if clock is SYSTEM else (lambda: inf, lambda _: None)
