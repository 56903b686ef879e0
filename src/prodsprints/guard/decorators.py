"""Single layers as decorators, as the specification writes them: `@retry(...)` and `@circuit_breaker(...)`."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf
from typing import ParamSpec, TypeVar

from prodsprints.guard.breaker import CircuitBreaker
from prodsprints.guard.budget import RetryBudget
from prodsprints.guard.bulkhead import Bulkhead
from prodsprints.guard.clock import SYSTEM, Clock
from prodsprints.guard.guard import AnyDecorator, wrap
from prodsprints.guard.keys import KeyPool
from prodsprints.guard.layers import Layers
from prodsprints.guard.retry import Predicate, Retry, Stop, Wait

_LONGEST_RETRY_AFTER_SECONDS = 300.0

P = ParamSpec("P")
T = TypeVar("T")

_DEFAULT = Retry()


def retry(
    *,
    stop: Stop = _DEFAULT.stop,
    wait: Wait = _DEFAULT.wait,
    retry: Predicate = _DEFAULT.retry,
    clock: Clock = SYSTEM,
) -> AnyDecorator:
    """Make a failed call again, as three tenacity strategies say; Retry-After is a floor of each wait.

    Each strategy has Retry's default. When no attempt is left, the last one's own error is raised.
    """
    policy = Retry(stop=stop, wait=wait, retry=retry)

    def decorate(fn: Callable[P, T], /) -> Callable[P, T]:
        return wrap(fn, _inert(fn, retry=policy, clock=clock))

    return decorate


def circuit_breaker(
    *,
    failure_threshold: int = 5,
    recovery_timeout: float = 60.0,
    failures: tuple[type[Exception], ...] = (Exception,),
    clock: Clock = SYSTEM,
) -> AnyDecorator:
    """Reject calls with CircuitOpenError after `failure_threshold` failures in a row; see CircuitBreaker.

    Each decorated function has a breaker of its own.
    """

    def decorate(fn: Callable[P, T], /) -> Callable[P, T]:
        breaker = CircuitBreaker(
            failure_threshold=failure_threshold, recovery_timeout=recovery_timeout, failures=failures
        )
        return wrap(fn, _inert(fn, breaker=breaker, clock=clock))

    return decorate


def _inert(
    fn: Callable[..., object], *, retry: Retry | None = None, breaker: CircuitBreaker | None = None, clock: Clock
) -> Layers:
    """All layers inert, but the given one."""
    return Layers(
        name=getattr(fn, "__qualname__", type(fn).__name__),
        deadline_seconds=inf,
        retry=retry or Retry.never(),
        budget=RetryBudget.inert(),
        breaker=breaker or CircuitBreaker.inert(),
        bulkhead=Bulkhead.inert(),
        keys=KeyPool.inert(),
        timeout_seconds=inf,
        freeze_seconds=1.0,
        longest_freeze_seconds=_LONGEST_RETRY_AFTER_SECONDS,
        clock=clock,
        random=random.random,
    )
