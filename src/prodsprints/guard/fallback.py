"""What to do when the provider cannot answer: ask another one, or answer with what is at hand."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from prodsprints.guard.errors import UNAVAILABLE, GuardInputError

P = ParamSpec("P")
T = TypeVar("T")


class Failover(Generic[P, T]):
    """Other functions that can do the same work, asked in order while there is time; best guarded themselves."""

    @overload
    def __init__(
        self, *alternates: Callable[P, Coroutine[Any, Any, T]], on: tuple[type[Exception], ...] = ...
    ) -> None: ...

    @overload
    def __init__(self, *alternates: Callable[P, T], on: tuple[type[Exception], ...] = ...) -> None: ...

    def __init__(self, *alternates: Callable[P, Any], on: tuple[type[Exception], ...] = UNAVAILABLE) -> None:
        if not alternates:
            raise GuardInputError("A failover needs somewhere to go.", next_step="Give it at least one function.")
        self.alternates = alternates
        self.on = on


class Fallback(Generic[P, T]):
    """An answer that is at hand: `answer(error, *args, **kwargs)` returns it at once.

    It gets no time of its own, so it works after the deadline too; what takes time belongs into a Failover.
    """

    def __init__(
        self, answer: Callable[Concatenate[Exception, P], T], *, on: tuple[type[Exception], ...] = UNAVAILABLE
    ) -> None:
        self.answer = answer
        self.on = on
