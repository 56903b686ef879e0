"""`bench guard`: what a guard with all its layers costs per successful call, beside stacks of known libraries.

The guarded function does nothing, so that only the layers are measured: in CPU time of one thread, subjects in turn.
Every stack retries, breaks, limits the rate and, where its libraries can, the time; ours also bounds concurrency and
retries, chooses among three keys, has an alternative and a fallback ready, and counts outcomes and durations.

`memory` is what each of a thousand of them holds, with the function that it guards, after its first call.
"""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from threading import Lock
from typing import Any

import backoff
import pybreaker
import tenacity
from aiolimiter import AsyncLimiter
from hyx.bulkhead import bulkhead
from hyx.circuitbreaker import consecutive_breaker
from hyx.ratelimit import tokenbucket
from hyx.retry import retry
from hyx.timeout import timeout

from prodsprints.bench.report import Figure, Progress, Result, interleave
from prodsprints.guard import Attempt, Failover, Fallback, Guard, Key, KeyPool, RateLimiter
from prodsprints.guard.guard import Decorator

_ROUNDS = 9
_CALLS = 3_000
_ATTEMPTS = 5
_TIMEOUT_SECONDS = 10
_KEPT = 1_000
_MEMORY_ROUNDS = 3
_MOST_KILOBYTES = 20.0
# No stack has to wait for a token.
_PER_SECOND = 1e9

Call = Callable[[], Any]
AsyncCall = Callable[[], Awaitable[Any]]


def cases(progress: Progress) -> Iterator[Result]:
    """`async` and `sync`, each also with the attempt handed to the function; and `memory`."""
    progress(f"async: {_ROUNDS} rounds of {_CALLS:,} calls")
    figures = _measure_async(_subjects_async)
    bare, stack = _known(figures["bare"]), _known(figures["tenacity-stack"])
    yield from _results("async", figures, bound=round(min(bare + 2.0, stack / 15), 3))

    progress(f"sync: {_ROUNDS} rounds of {_CALLS:,} calls")
    figures = _measure(_subjects())
    # hyx has no synchronous calls.
    yield from _results("sync", figures, bound=0.8, missing=("hyx-stack",))

    progress(f"memory: {_MEMORY_ROUNDS} rounds of {_KEPT:,} guards")
    figures = interleave(
        {name: lambda make=make: _kilobytes_each(make) for name, make in _makers().items()},  # type: ignore[misc]
        _MEMORY_ROUNDS,
    )
    ours = figures.pop("ours")
    peers = {name: figure.value for name, figure in figures.items()}
    yield Result("guard", "memory", "kB", ours, peers, _MOST_KILOBYTES, ("hyx-stack",))


def _results(case: str, figures: dict[str, Figure], *, bound: float, missing: tuple[str, ...] = ()) -> Iterator[Result]:
    ours, with_attempt = figures.pop("ours"), figures.pop("with-attempt")
    peers = {name: figure.value for name, figure in figures.items()}
    yield Result("guard", case, "us", ours, peers, bound, missing)
    yield Result("guard", f"{case}-with-attempt", "us", with_attempt, peers, missing=missing)


async def _subjects_async() -> dict[str, AsyncCall]:
    """Built on the event loop, where hyx wants to be."""
    return {
        "ours": _ours(failover=Failover(_work_async))(_work_async),
        "with-attempt": _guard().with_attempt(_work_async_with_attempt),
        "bare": _work_async,
        "tenacity-stack": _tenacity_stack_async(),
        "fastest-parts-stack": _fastest_parts_stack_async(),
        "hyx-stack": _hyx_stack(),
    }


def _subjects() -> dict[str, Call]:
    return {
        "ours": _ours(failover=Failover(_work))(_work),
        "with-attempt": _guard().with_attempt(_work_with_attempt),
        "bare": _work,
        "tenacity-stack": _tenacity_stack(),
        "fastest-parts-stack": _fastest_parts_stack(),
    }


def _measure(subjects: dict[str, Call]) -> dict[str, Figure]:
    def timed(call: Call) -> Callable[[], float]:
        def run() -> float:
            began = time.thread_time()
            for _ in range(_CALLS):
                call()
            return _microseconds_each(began)

        return run

    return interleave({name: timed(call) for name, call in subjects.items()}, _ROUNDS)


def _measure_async(build: Callable[[], Coroutine[Any, Any, dict[str, AsyncCall]]]) -> dict[str, Figure]:
    """All on one event loop, in one task for each subject and round."""
    with asyncio.Runner() as runner:

        def timed(call: AsyncCall) -> Callable[[], float]:
            async def run() -> float:
                began = time.thread_time()
                for _ in range(_CALLS):
                    await call()
                return _microseconds_each(began)

            return lambda: runner.run(run())

        return interleave({name: timed(call) for name, call in runner.run(build()).items()}, _ROUNDS)


def _makers() -> dict[str, Callable[[], Call]]:
    return {
        "ours": lambda: _ours(failover=Failover(_work))(_work),
        "tenacity-stack": _tenacity_stack,
        "fastest-parts-stack": _fastest_parts_stack,
    }


def _kilobytes_each(make: Callable[[], Call]) -> float:
    """What Python holds for each of many, called once, beyond what it held before."""
    make()()  # what all of them share
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [make() for _ in range(_KEPT)]
        for call in kept:
            call()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / len(kept) / 1000


def _microseconds_each(began: float) -> float:
    return (time.thread_time() - began) / _CALLS * 1e6


def _known(figure: Figure) -> float:
    if figure.value is None:
        raise ValueError("a measured call always has a duration")
    return figure.value


def _work() -> int:
    return 1


async def _work_async() -> int:
    return 1


def _work_with_attempt(_: Attempt) -> int:
    return 1


async def _work_async_with_attempt(_: Attempt) -> int:
    return 1


def _guard() -> Guard:
    keys = KeyPool(
        [Key(name) for name in ("first", "second", "third")],
        quota=lambda _: RateLimiter(rate=_PER_SECOND, burst=_PER_SECOND),
    )
    return Guard("bench", deadline_seconds=30, timeout_seconds=_TIMEOUT_SECONDS, keys=keys)


def _ours(failover: Failover[[], int]) -> Decorator[[], int]:
    return _guard()(failover=failover, fallback=Fallback(lambda _: 0))


def _tenacity_stack_async() -> AsyncCall:
    breaker, limiter = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60), AsyncLimiter(_PER_SECOND, 1)

    @tenacity.retry(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_exponential_jitter(initial=1, max=60),
        retry=tenacity.retry_if_exception_type(OSError),
    )
    async def call() -> int:
        with breaker.calling():
            async with limiter, asyncio.timeout(_TIMEOUT_SECONDS):
                return await _work_async()

    return call


def _fastest_parts_stack_async() -> AsyncCall:
    breaker, limiter = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60), AsyncLimiter(_PER_SECOND, 1)

    @backoff.on_exception(backoff.expo, OSError, max_tries=_ATTEMPTS)
    async def call() -> int:
        with breaker.calling():
            async with limiter, asyncio.timeout(_TIMEOUT_SECONDS):
                return await _work_async()

    return call


def _hyx_stack() -> AsyncCall:
    breaker = consecutive_breaker(exceptions=OSError, failure_threshold=5, recovery_time_secs=60)
    room = bulkhead(max_concurrency=1000, max_capacity=1000)
    bucket = tokenbucket(max_executions=_PER_SECOND, per_time_secs=1)

    # As context managers, which are faster than its decorators: those start a task for each time-out.
    @retry(on=OSError, attempts=_ATTEMPTS, backoff=1)
    async def call() -> int:
        async with breaker, room, bucket, timeout(_TIMEOUT_SECONDS):
            return await _work_async()

    return call


def _tenacity_stack() -> Call:
    breaker, bucket = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60), _LockedBucket()

    @tenacity.retry(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_exponential_jitter(initial=1, max=60),
        retry=tenacity.retry_if_exception_type(OSError),
    )
    @breaker
    def call() -> int:
        bucket.take()
        return _work()

    return call


def _fastest_parts_stack() -> Call:
    breaker, bucket = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60), _LockedBucket()

    @backoff.on_exception(backoff.expo, OSError, max_tries=_ATTEMPTS)
    @breaker
    def call() -> int:
        bucket.take()
        return _work()

    return call


class _LockedBucket:
    """A bucket for the synchronous stacks, whose libraries have none: ours, which is faster than the known ones."""

    def __init__(self) -> None:
        self._bucket = RateLimiter(rate=_PER_SECOND, burst=_PER_SECOND)
        self._lock = Lock()

    def take(self) -> None:
        with self._lock:
            self._bucket.take(time.monotonic())
