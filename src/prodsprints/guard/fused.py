"""The synchronous success path: all layers in one function, because a call that works should cost next to nothing.

Anything else than success goes through the pipeline, where each layer can be read by itself. The two must mean the
same; a test runs both on the same random histories.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import wraps
from threading import get_ident
from types import CoroutineType
from typing import Any, TypeVar

from prodsprints.guard.attempt import Attempt
from prodsprints.guard.breaker import Circuit
from prodsprints.guard.deadline import Extent, extent, extents_of
from prodsprints.guard.effects import perform, unguarded
from prodsprints.guard.limiter import RateLimiter
from prodsprints.guard.ownership import STATE, THREADS
from prodsprints.guard.pipeline import Call, Guarded
from prodsprints.guard.telemetry import BOUNDS_SECONDS

T = TypeVar("T")


def fuse(guarded: Guarded[..., T]) -> Callable[..., T]:  # noqa: PLR0915 - fused by hand
    """`guarded` as a function of its arguments, for any thread."""
    fn, layers, with_attempt = guarded.fn, guarded.layers, guarded.with_attempt
    breaker, bulkhead, keys, budget, clock = layers.breaker, layers.bulkhead, layers.keys, layers.budget, layers.clock
    at_once, seconds = layers.telemetry.at_once, layers.first_attempt_seconds
    now, counts, closed = clock.now, at_once.counts, Circuit.CLOSED
    known = extents_of(clock)
    # Called by name, as logging does: `with` would take a tenth of a microsecond longer.
    acquire, release = STATE.acquire, STATE.release

    @wraps(fn)
    def call(*args: Any, **kwargs: Any) -> T:  # noqa: PLR0912, PLR0915 - fused by hand
        if layers.owner is not THREADS:
            layers.claim(THREADS)
        began = now()
        within = known()
        if type(within) is not Extent or within.thread != get_ident():
            within = extent()
        outer, ends_at = within.ends_at, began + seconds
        if outer < ends_at:
            if outer <= began:
                return perform(Call(guarded, args, kwargs, began).steps(), clock)
            ends_at = outer
        acquire()
        try:
            held = None
            if breaker.circuit is closed and bulkhead.in_flight < bulkhead.limit:
                held, left = keys.current, keys.calls_left - 1
                keys.calls_left = left
                if left < 0:
                    held = keys.change(began)
                else:
                    quota = held.quota
                    if type(quota) is RateLimiter and quota.full_at <= began:
                        quota.full_at = began + quota.interval  # as its `take` does, without the call
                    elif quota.take(began):
                        held = keys.change(began)
                if held is not None:
                    bulkhead.in_flight += 1
            era = breaker.era
        finally:
            release()
        if held is None:
            return perform(Call(guarded, args, kwargs, began).steps(), clock)
        try:
            within.ends_at = ends_at
            if with_attempt:
                answer: T = fn(Attempt(held.key, ends_at, now), *args, **kwargs)
            else:
                answer = fn(*args, **kwargs)
            if type(answer) is CoroutineType:
                raise unguarded(fn, answer)
        except BaseException as error:
            within.ends_at = outer
            with STATE:
                layers.failed(error, era=era, held=held, began=began)
            if not isinstance(error, Exception):
                raise
            failed = error
        else:
            within.ends_at = outer
            took = now() - began
            acquire()
            try:
                bulkhead.in_flight -= 1
                if breaker.failures_in_a_row:
                    breaker.succeeded(era)
                if budget.tokens < budget.reserve:
                    budget.succeeded()
                counts[bisect_left(BOUNDS_SECONDS, took)] += 1
                at_once.seconds += took
            finally:
                release()
            return answer
        return perform(Call(guarded, args, kwargs, began, failed).steps(), clock)

    return call
