"""What is called inside a guarded call, or inside `with deadline`, never outlives it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from math import inf

import pytest

from guard.support_clock import ManualClock
from prodsprints.guard import (
    Attempt,
    CallTimeoutError,
    DeadlineExceeded,
    Failover,
    Fallback,
    Guard,
    Outcome,
    RateLimitError,
    Retry,
    ServiceUnavailable,
    deadline,
    remaining_seconds,
)
from prodsprints.guard.errors import GuardInputError

outer, inner = Guard("outer", deadline_seconds=5), Guard("inner", deadline_seconds=60)


def left() -> float:
    return remaining_seconds()


async def left_async() -> float:
    return remaining_seconds()


@inner.with_attempt
def of_attempt(attempt: Attempt) -> float:
    return attempt.remaining_seconds


def asyncs() -> tuple[Guard, Guard]:
    """For one event loop."""
    return Guard("outer", deadline_seconds=5), Guard("inner", deadline_seconds=60)


def test_outside_of_any_call_time_is_without_end() -> None:
    assert remaining_seconds() == inf


def test_a_guarded_call_knows_its_own_end_and_the_one_around_it() -> None:
    assert 5 < inner(left)() <= 60
    assert 0 < outer(inner(left))() <= 5
    assert 0 < outer(of_attempt)() <= 5
    assert 0 < inner(outer(left))() <= 5
    assert remaining_seconds() == inf


def test_on_an_event_loop_as_well_and_from_one_world_into_the_other() -> None:
    async def nested() -> list[float]:
        around, within = asyncs()

        async def call_async() -> float:
            return await within(left_async)()

        async def call_sync() -> float:
            return inner(left)()

        async def call_thread() -> float:
            return await asyncio.to_thread(inner(left))

        async def call_task() -> float:
            return await asyncio.create_task(within(left_async)())

        found = [await around(call)() for call in (call_async, call_sync, call_thread, call_task)]
        assert remaining_seconds() == inf
        return found

    assert all(0 < seconds <= 5 for seconds in asyncio.run(nested()))
    assert 0 < outer(lambda: asyncio.run(left_async()))() <= 5


def test_an_error_puts_back_what_was_there_before() -> None:
    def fails() -> None:
        raise KeyError

    async def fails_async() -> None:
        raise KeyError

    async def interrupted() -> None:
        guard = Guard("g", deadline_seconds=5)
        with pytest.raises(KeyError):
            await guard(fails_async)()
        task = asyncio.create_task(guard(asyncio.sleep)(30))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert remaining_seconds() == inf

    with pytest.raises(KeyError):
        outer(fails)()
    assert remaining_seconds() == inf
    asyncio.run(interrupted())


def test_a_retry_is_not_begun_that_the_outer_deadline_would_cut_off() -> None:
    calls = []

    @Guard("inner", retry=Retry(wait=lambda _: 1.0))
    def fails() -> None:
        calls.append(time.monotonic())
        raise ServiceUnavailable

    began = time.monotonic()
    with deadline(0.3), pytest.raises(ServiceUnavailable):
        fails()
    assert len(calls) == 1 and time.monotonic() - began < 1


def test_a_retry_after_that_lies_beyond_the_outer_deadline_is_raised_at_once() -> None:
    @Guard("inner")
    def throttled() -> None:
        raise RateLimitError(20)

    began = time.monotonic()
    with deadline(2), pytest.raises(RateLimitError):
        throttled()
    assert time.monotonic() - began < 2


def test_what_is_over_is_not_begun_and_is_no_fault_of_the_provider_s() -> None:
    guard = Guard("inner")
    calls: list[int] = []

    async def on_a_loop() -> None:
        loop_guard = Guard("inner")

        async def call() -> None:
            calls.append(1)

        with deadline(0.01):
            await asyncio.sleep(0.02)
            with pytest.raises(DeadlineExceeded):
                await loop_guard(call)()
        assert loop_guard._layers.breaker.failures_in_a_row == 0

    with deadline(0.01):
        time.sleep(0.02)
        assert remaining_seconds() == 0
        with pytest.raises(DeadlineExceeded, match="what it is part of"):
            guard(lambda: calls.append(1))()
    asyncio.run(on_a_loop())
    assert not calls
    snapshot = guard.snapshot()
    assert guard._layers.breaker.failures_in_a_row == 0
    assert (snapshot.count(Outcome.TIMED_OUT), snapshot.in_flight) == (1, 0)


def test_a_fallback_answers_although_the_time_is_over() -> None:
    with deadline(0.01):
        time.sleep(0.02)
        assert Guard("inner")(fallback=Fallback(lambda _: "at hand"))(lambda: "now")() == "at hand"


def test_a_coroutine_is_cut_off_at_the_outer_deadline_in_tasks_too() -> None:
    async def hang() -> None:
        await asyncio.sleep(30)

    async def run() -> float:
        began = time.monotonic()
        guard = Guard("inner", timeout_seconds=20)
        with deadline(0.1):
            results = await asyncio.gather(guard(hang)(), asyncio.create_task(guard(hang)()), return_exceptions=True)
        assert all(isinstance(result, DeadlineExceeded) for result in results)
        return time.monotonic() - began

    assert asyncio.run(run()) < 10


def test_a_task_that_outlives_its_parent_keeps_its_parent_s_deadline() -> None:
    async def run() -> object:
        guard = Guard("inner")
        with deadline(0.1):
            left_behind = asyncio.create_task(guard(asyncio.sleep)(30))
        return (await asyncio.gather(left_behind, return_exceptions=True))[0]

    assert isinstance(asyncio.run(run()), CallTimeoutError)


def test_deadlines_nest_and_the_earliest_counts() -> None:
    with deadline(5):
        with deadline(60):
            assert 0 < remaining_seconds() <= 5
        with deadline(1):
            assert 0 < remaining_seconds() <= 1
        assert 0 < remaining_seconds() <= 5
    assert remaining_seconds() == inf


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), inf, "5", True])
def test_a_deadline_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(GuardInputError, match="seconds must be a number above 0"):
        deadline(seconds)


def test_failover_and_later_attempts_know_the_end_too() -> None:
    seen = []

    def worse() -> float:
        seen.append(remaining_seconds())
        raise ServiceUnavailable

    guard = Guard(
        "g", deadline_seconds=5, retry=Retry(wait=lambda _: 0.0, stop=lambda state: state.attempt_number >= 2)
    )
    seen.append(guard(failover=Failover(left))(worse)())
    assert len(seen) == 3 and all(0 < seconds <= 5 for seconds in seen)


def test_threads_do_not_see_each_other_s_deadlines() -> None:
    """A context that is copied into several threads is one context no more as soon as they make calls."""
    start = threading.Barrier(4)

    def long_lived(number: int) -> float:
        start.wait()
        found = []
        for _ in range(300):
            found.append(Guard("short", deadline_seconds=0.5 + number)(left)())
        return max(found) - (0.5 + number)

    async def all_at_once() -> list[float]:
        inner(left)()  # the loop's own thread has an extent, which each copied context brings along
        return await asyncio.gather(*(asyncio.to_thread(long_lived, number) for number in range(4)))

    assert max(asyncio.run(all_at_once())) <= 0
    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(long_lived, range(4))) <= 0
        assert set(pool.map(lambda _: remaining_seconds(), range(4))) == {inf}


def test_many_tasks_do_not_see_each_other_s_deadlines() -> None:
    async def run() -> None:
        guard, quick = Guard("long", deadline_seconds=60), Guard("short", deadline_seconds=0.2)

        async def one(number: int) -> float:
            await asyncio.sleep(0)
            found = await (quick if number % 2 else guard)(left_async)()
            inner(left)()
            await asyncio.sleep(0)
            return found

        found = await asyncio.gather(*(one(number) for number in range(200)))
        assert all((seconds <= 0.2) == bool(number % 2) for number, seconds in enumerate(found))
        assert remaining_seconds() == inf

    asyncio.run(run())


def test_a_guard_with_a_clock_of_its_own_has_no_part_in_it(clock: ManualClock) -> None:
    guard = Guard("manual", clock=clock, deadline_seconds=5)
    assert guard(left)() == inf
    with deadline(1):
        assert 0 < guard(left)() <= 1

    async def on_a_loop() -> float:
        return await Guard("manual", clock=ManualClock(), deadline_seconds=5)(left_async)()

    assert asyncio.run(on_a_loop()) == inf
