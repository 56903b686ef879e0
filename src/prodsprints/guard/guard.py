"""The composed policy around every call to one provider: build a Guard, and decorate what calls the provider."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Coroutine
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from math import inf
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypedDict, TypeVar, Unpack, overload

from prodsprints.guard import checks, registry
from prodsprints.guard.attempt import Attempt
from prodsprints.guard.breaker import CircuitBreaker
from prodsprints.guard.budget import RetryBudget
from prodsprints.guard.bulkhead import Bulkhead
from prodsprints.guard.clock import SYSTEM, Clock
from prodsprints.guard.errors import GuardInputError
from prodsprints.guard.fallback import Failover, Fallback
from prodsprints.guard.fused import fuse
from prodsprints.guard.keys import KeyPool
from prodsprints.guard.layers import Layers
from prodsprints.guard.limiter import LeaseSource
from prodsprints.guard.pipeline import Guarded
from prodsprints.guard.profiles import Profile, profile
from prodsprints.guard.retry import Retry
from prodsprints.guard.telemetry import Snapshot

P = ParamSpec("P")
T = TypeVar("T")


class Options(TypedDict, total=False):
    """What a guard may be given besides its name; see Guard."""

    deadline_seconds: float
    timeout_seconds: float | None
    retry: Retry | None
    budget: RetryBudget | None
    breaker: CircuitBreaker | None
    bulkhead: Bulkhead | None
    limiter: LeaseSource | None
    keys: KeyPool | None
    freeze_seconds: float
    longest_freeze_seconds: float
    clock: Clock
    random: Callable[[], float]


class Guard:
    """Calls that survive: `Deadline(Fallback(Failover(Retry+Budget(Breaker(Bulkhead(KeyPool+Bucket(Timeout(fn))))))))`.

    One guard holds what is known of one provider. Decorate every function that calls it, synchronous or not (one
    guard serves one event loop, or threads). What only a function can say is given where it is decorated:

        github = Guard("github", limiter=RateLimiter(rate=80, burst=100))

        @github
        async def repository(name: str) -> Repository: ...

        @github(fallback=Fallback(lambda error, name: []))
        async def releases(name: str) -> list[Release]: ...

    Why the layers stand in this order: docs/explanation/guard.md.
    """

    def __init__(
        self,
        name: str,
        *,
        deadline_seconds: float = 30.0,
        timeout_seconds: float | None = None,
        retry: Retry | None = None,
        budget: RetryBudget | None = None,
        breaker: CircuitBreaker | None = None,
        bulkhead: Bulkhead | None = None,
        limiter: LeaseSource | None = None,
        keys: KeyPool | None = None,
        freeze_seconds: float = 1.0,
        longest_freeze_seconds: float = 300.0,
        clock: Clock = SYSTEM,
        random: Callable[[], float] = random_module.random,
        sampled: float = 0.0,
    ) -> None:
        """`deadline_seconds` bounds a call with all its attempts, `timeout_seconds` one attempt.

        Layers that are not given have their defaults: five attempts, a breaker of 5 failures and 60 s, 1,000 calls at a
        time, no bucket. A key is frozen for as long as the provider asks, `longest_freeze_seconds` at most, and for
        `freeze_seconds` if it does not say. Keys bring their own buckets, so give `limiter` or `keys`. `sampled` is the
        share of calls that get a span although they went well.
        """
        if limiter is not None and keys is not None:
            raise GuardInputError(
                "A guard takes either a limiter or keys.",
                why="Each scope of a key pool has a bucket of its own.",
                next_step="Give the pool the bucket: KeyPool(keys, quota=lambda scope: RateLimiter(...)).",
            )
        self._layers = Layers(
            name=checks.name("A guard's name", name),
            deadline_seconds=checks.positive("deadline_seconds", deadline_seconds),
            retry=retry or Retry(),
            budget=budget or RetryBudget(),
            breaker=breaker or CircuitBreaker(),
            bulkhead=bulkhead or Bulkhead(1000),
            keys=keys or KeyPool.anonymous(limiter),
            timeout_seconds=inf if timeout_seconds is None else checks.positive("timeout_seconds", timeout_seconds),
            freeze_seconds=checks.positive("freeze_seconds", freeze_seconds),
            longest_freeze_seconds=checks.positive("longest_freeze_seconds", longest_freeze_seconds),
            clock=clock,
            random=random,
            sampled=checks.share("sampled", sampled),
        )
        registry.add(self._layers)

    @classmethod
    def for_provider(cls, provider: str | Profile, **options: Unpack[Options]) -> Self:
        """A guard with the times and the published limit of a profile; `options` are Guard's, and win.

        With `keys` each scope brings its own bucket: `KeyPool(keys, quota=lambda _: profile(name).limiter())`.
        Raises GuardInputError for a name that no profile has.
        """
        found = profile(provider) if isinstance(provider, str) else provider
        settings: Options = {
            "deadline_seconds": found.deadline_seconds,
            "timeout_seconds": found.timeout_seconds,
            "bulkhead": Bulkhead(found.concurrency),
            "freeze_seconds": found.freeze_seconds,
            "longest_freeze_seconds": found.longest_freeze_seconds,
        }
        if found.limit is not None and "keys" not in options:
            settings["limiter"] = found.limiter()
        return cls(found.name, **(settings | options))

    @overload
    def __call__(self, fn: Callable[P, T], /) -> Callable[P, T]: ...

    @overload
    def __call__(self, /, *, critical: bool) -> AnyDecorator: ...

    @overload
    def __call__(
        self, /, *, failover: Failover[P, T], fallback: Fallback[P, T] | None = None, critical: bool = False
    ) -> Decorator[P, T]: ...

    @overload
    def __call__(self, /, *, fallback: Fallback[P, T]) -> Decorator[P, T]: ...

    def __call__(
        self,
        fn: Callable[..., Any] | None = None,
        /,
        *,
        failover: Failover[..., Any] | None = None,
        fallback: Fallback[..., Any] | None = None,
        critical: bool = False,
    ) -> Any:
        """`fn`, guarded; or, given options, a decorator.

        `critical`: only the provider's own, present answer will do; neither a fallback nor StaleIfError is taken.
        """
        if critical and fallback is not None:
            raise GuardInputError(
                "Critical data takes no fallback.", next_step="Leave out the fallback, or `critical=True`."
            )

        def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
            return wrap(fn, self._layers, failover=failover, fallback=fallback, critical=critical)

        return decorate if fn is None else decorate(fn)

    def with_attempt(self, fn: Callable[Concatenate[Attempt, P], T], /) -> Callable[P, T]:
        """`fn`, guarded, which gets the Attempt as its first argument: the key to use and the time that is left."""
        guarded: Callable[P, T] = wrap(fn, self._layers, with_attempt=True)
        return guarded

    @property
    def name(self) -> str:
        return self._layers.name

    @property
    def attempt_seconds(self) -> float:
        """How long one attempt may take: what the client inside is to be given as its own time-out."""
        return self._layers.first_attempt_seconds

    def snapshot(self) -> Snapshot:
        """What this guard has seen so far."""
        return self._layers.snapshot()


class Decorator(Protocol[P, T]):
    """Takes a function of these arguments and this answer, synchronous or not."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, T]], /) -> Callable[P, Coroutine[Any, Any, T]]: ...

    @overload
    def __call__(self, fn: Callable[P, T], /) -> Callable[P, T]: ...


class AnyDecorator(Protocol):
    """Takes any function."""

    def __call__(self, fn: Callable[P, T], /) -> Callable[P, T]: ...


CRITICAL = "__guard_critical__"


def wrap(
    fn: Callable[..., Any],
    layers: Layers,
    *,
    failover: Failover[..., Any] | None = None,
    fallback: Fallback[..., Any] | None = None,
    critical: bool = False,
    with_attempt: bool = False,
) -> Callable[..., Any]:
    """`fn` inside `layers`."""
    _refuse_what_cannot_be_guarded(fn)
    asynchronous = is_async(fn)
    for alternate in failover.alternates if failover else ():
        if is_async(alternate) != asynchronous:
            raise GuardInputError(
                "A failover mixes synchronous and asynchronous functions.",
                next_step="Give it alternates of the function's own kind.",
            )
    guarded: Guarded[..., Any] = Guarded(fn, layers, failover, fallback, with_attempt)
    if asynchronous:
        from prodsprints.guard.fused_async import fuse_async  # asyncio, which threads need not load

        fused: Callable[..., Any] = fuse_async(guarded)
    else:
        fused = fuse(guarded)
    if layers.sampled:
        from prodsprints.guard.sampling import sampling  # whoever samples nothing pays nothing

        fused = sampling(guarded, fused, asynchronous=asynchronous)
    setattr(fused, CRITICAL, critical)
    return fused


def _refuse_what_cannot_be_guarded(fn: Callable[..., Any]) -> None:
    if not callable(fn):
        raise GuardInputError(f"A guard decorates functions, not {fn!r}.", next_step="Give it a function.")
    if isgeneratorfunction(fn) or isasyncgenfunction(fn):
        raise GuardInputError(
            "A generator cannot be guarded.",
            why="Its work is done later, while somebody iterates.",
            next_step="Guard a function that returns one page or one list.",
        )


def is_async(fn: Callable[..., Any]) -> bool:
    return iscoroutinefunction(fn) or iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004
