"""Answers from before, marked with their age, while the provider cannot answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

from prodsprints.guard import checks
from prodsprints.guard.clock import SYSTEM, Clock
from prodsprints.guard.errors import UNAVAILABLE, GuardInputError
from prodsprints.guard.guard import CRITICAL, is_async
from prodsprints.guard.ownership import STATE

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What was answered, and how old that is: 0 if it comes from the provider now; else `cause` says why not."""

    value: T
    age_seconds: float = 0.0
    cause: Exception | None = None

    @property
    def stale(self) -> bool:
        return self.cause is not None


class StaleIfError:
    """Keeps the last answer for each set of arguments, and gives it while the provider cannot answer.

    Only where somebody asks for it, as the outermost decorator:

        @StaleIfError(max_age_seconds=3600)
        @github
        async def releases(repository: str) -> list[Release]: ...

        answer = await releases("shop")
        answer.value, answer.age_seconds, answer.stale

    An older answer than `max_age_seconds` is never given, one function's errors of its own (`on` says which ones mean
    "cannot answer") are never hidden, and a function that was declared critical is refused. Arguments must be hashable;
    a method's `self` is one of them. The `max_entries` last used answers are kept.
    """

    def __init__(
        self,
        *,
        max_age_seconds: float,
        max_entries: int = 1024,
        on: tuple[type[Exception], ...] = UNAVAILABLE,
        clock: Clock = SYSTEM,
    ) -> None:
        self._max_age_seconds = checks.positive("max_age_seconds", max_age_seconds)
        self._max_entries = checks.whole("max_entries", max_entries)
        self._on = on
        self._now = clock.now

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine function is the narrower kind
        self, fn: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Callable[P, Coroutine[Any, Any, Answer[T]]]: ...

    @overload
    def __call__(self, fn: Callable[P, T], /) -> Callable[P, Answer[T]]: ...

    def __call__(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        if getattr(fn, CRITICAL, False):
            raise GuardInputError(
                "Critical data is never given stale.", next_step="Leave out StaleIfError, or `critical=True`."
            )
        cache: _Cache[Any] = _Cache(self._max_age_seconds, self._max_entries, self._now)
        on = self._on

        @wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Answer[Any]:
            key = _key(args, kwargs)
            try:
                value = fn(*args, **kwargs)
            except on as error:
                return cache.stale(key, error)
            return cache.fresh(key, value)

        @wraps(fn)
        async def call_async(*args: Any, **kwargs: Any) -> Answer[Any]:
            key = _key(args, kwargs)
            try:
                value = await fn(*args, **kwargs)
            except on as error:
                return cache.stale(key, error)
            return cache.fresh(key, value)

        return call_async if is_async(fn) else call


class _Cache(Generic[T]):
    """Values with the moment they were answered, the longest unused first."""

    def __init__(self, max_age_seconds: float, max_entries: int, now: Callable[[], float]) -> None:
        self._max_age_seconds = max_age_seconds
        self._max_entries = max_entries
        self._now = now
        self._entries: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    def fresh(self, key: Hashable, value: T) -> Answer[T]:
        with STATE:
            self._entries[key] = (self._now(), value)
            self._entries.move_to_end(key)
            if len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)
        return Answer(value)

    def stale(self, key: Hashable, cause: Exception) -> Answer[T]:
        """The kept value; raises `cause` if there is none that is young enough."""
        with STATE:
            entry = self._entries.get(key)
            if entry is None:
                raise cause
            at, value = entry
            age = self._now() - at
            if age > self._max_age_seconds:
                del self._entries[key]
                raise cause
            self._entries.move_to_end(key)
        return Answer(value, age, cause)


def _key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    key = (args, tuple(sorted(kwargs.items())))
    try:
        hash(key)
    except TypeError as error:
        raise GuardInputError(
            "The arguments of a call with StaleIfError must be hashable.",
            why=f"They tell its kept answers apart ({error}).",
            next_step="Pass strings, numbers, tuples or frozen dataclasses.",
        ) from None
    return key
