"""The asynchronous success path: as the synchronous one, without locks, because one event loop owns the state."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Task, current_task, get_running_loop
from bisect import bisect_left
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

from prodsprints.guard.attempt import Attempt
from prodsprints.guard.breaker import Circuit
from prodsprints.guard.deadline import Extent, ends_at, moments_of
from prodsprints.guard.effects_async import perform_async
from prodsprints.guard.limiter import RateLimiter
from prodsprints.guard.pipeline import Call, Guarded
from prodsprints.guard.telemetry import BOUNDS_SECONDS

T = TypeVar("T")

# Inside a coroutine that an event loop runs there always is one.
_task_of: Callable[[AbstractEventLoop], Task[Any]] = current_task  # type: ignore[assignment]


def fuse_async(guarded: Guarded[..., T]) -> Callable[..., Coroutine[Any, Any, T]]:  # noqa: PLR0915 - fused by hand
    """`guarded` as a coroutine function of its arguments, for one event loop."""
    fn, layers, with_attempt = guarded.fn, guarded.layers, guarded.with_attempt
    breaker, bulkhead, keys, budget, clock = layers.breaker, layers.bulkhead, layers.keys, layers.budget, layers.clock
    at_once, seconds = layers.telemetry.at_once, layers.first_attempt_seconds
    now, counts, closed = clock.now, at_once.counts, Circuit.CLOSED
    known, keep = moments_of(clock)

    @wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> T:  # noqa: PLR0912, PLR0915 - fused by hand
        loop = get_running_loop()
        if layers.owner is not loop:
            layers.claim(loop)
        began = now()
        within = known()
        outer: float = ends_at() if type(within) is Extent else within  # type: ignore[assignment]
        ends = began + seconds
        if outer < ends:  # sooner than the reaper, which has one time for all
            return await perform_async(Call(guarded, args, kwargs, began).steps(), clock)
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
        if held is None:
            return await perform_async(Call(guarded, args, kwargs, began).steps(), clock)
        era = breaker.era
        bulkhead.in_flight += 1
        reaper = layers.reaper
        if reaper is not None:
            task = _task_of(loop)
            cancelling = task.cancelling()
            reaper.serial = serial = reaper.serial + 1
            reaper.pending[serial] = (began, task)
            if reaper.timer is None:
                reaper.arm()
        try:
            keep(ends)
            if with_attempt:
                answer: T = await fn(Attempt(held.key, ends, now), *args, **kwargs)
            else:
                answer = await fn(*args, **kwargs)
        except BaseException as error:
            keep(within)
            failed = error if reaper is None else reaper.settle(serial, task, cancelling, error)
            layers.failed(failed, era=era, held=held, began=began)
            if not isinstance(failed, Exception):
                raise
        else:
            keep(within)
            if reaper is not None and reaper.pending.pop(serial) is None:
                task.uncancel()  # it answered although its time was up
            bulkhead.in_flight -= 1
            if breaker.failures_in_a_row:
                breaker.succeeded(era)
            if budget.tokens < budget.reserve:
                budget.succeeded()
            took = now() - began
            counts[bisect_left(BOUNDS_SECONDS, took)] += 1
            at_once.seconds += took
            return answer
        return await perform_async(Call(guarded, args, kwargs, began, failed).steps(), clock)

    return call
