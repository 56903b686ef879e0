"""Time-outs and deadlines on an event loop, by the reaper and by the pipeline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from prodsprints.guard import (
    Attempt,
    CallTimeoutError,
    CircuitBreaker,
    CircuitOpenError,
    DeadlineExceeded,
    Guard,
    Outcome,
    QuotaSpentError,
    RateLimiter,
    Retry,
    ServiceUnavailable,
    retry_if_exception_type,
)


async def hang() -> None:
    await asyncio.sleep(60)


def seconds_until(error: type[BaseException], call: Callable[[], Coroutine[Any, Any, Any]]) -> float:
    async def measure() -> float:
        began = time.monotonic()
        with pytest.raises(error):
            await call()
        return time.monotonic() - began

    return asyncio.run(measure())


def test_an_attempt_ends_at_its_time_out() -> None:
    guard = Guard("slow", timeout_seconds=0.05)
    assert 0.05 <= seconds_until(CallTimeoutError, guard(hang)) < 1
    assert guard.snapshot().count(Outcome.TIMED_OUT) == 1


def test_a_call_with_all_its_attempts_ends_at_its_deadline() -> None:
    again = Retry(wait=lambda _: 0.0, stop=lambda _: False, retry=retry_if_exception_type(CallTimeoutError))
    guard = Guard("slow", timeout_seconds=0.05, deadline_seconds=0.12, retry=again)
    assert 0.12 <= seconds_until(DeadlineExceeded, guard(hang)) < 1
    assert guard.snapshot().retries == 2


def test_a_deadline_on_the_first_attempt_says_so() -> None:
    assert seconds_until(DeadlineExceeded, Guard("slow", deadline_seconds=0.05)(hang)) < 1


def test_a_provider_that_hangs_opens_the_breaker() -> None:
    guard = Guard("slow", timeout_seconds=0.02, breaker=CircuitBreaker(failure_threshold=2))
    for _ in range(2):
        seconds_until(CallTimeoutError, guard(hang))
    seconds_until(CircuitOpenError, guard(hang))


def test_each_of_many_calls_gets_its_own_time() -> None:
    guard = Guard("mixed", timeout_seconds=0.1)

    @guard
    async def nap(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async def all_at_once() -> list[object]:
        late = []
        for _ in range(3):
            late.append(asyncio.gather(nap(0), nap(60), nap(0.01), nap(60), return_exceptions=True))
            await asyncio.sleep(0.03)
        return [answer for answers in await asyncio.gather(*late) for answer in answers]

    answers = asyncio.run(all_at_once())
    for quick, hung, short, hung_too in zip(*[iter(answers)] * 4, strict=True):
        assert (quick, short) == (0, 0.01)
        assert isinstance(hung, CallTimeoutError)
        assert isinstance(hung_too, CallTimeoutError)
    assert guard.snapshot().in_flight == 0


def test_a_cancelled_caller_is_cancelled_and_not_timed_out() -> None:
    guard = Guard("slow", timeout_seconds=10)

    async def cancel() -> None:
        task = asyncio.create_task(guard(hang)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert guard.snapshot().count(Outcome.CANCELLED) == 1
    assert guard.snapshot().in_flight == 0
    assert guard._layers.breaker.failures_in_a_row == 0


def test_a_cancellation_during_the_time_out_s_own_is_not_swallowed() -> None:
    guard = Guard("stubborn", timeout_seconds=0.03)
    cleaning = asyncio.Event()

    @guard
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaning.set()
            await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(stubborn())
        await cleaning.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())


def test_an_answer_that_comes_although_time_is_up_is_given_and_leaves_no_cancellation_behind() -> None:
    @Guard("late", timeout_seconds=0.03)
    async def late() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "late"
        return "never"

    async def call() -> tuple[str, int]:
        answer = await late()
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)
        return answer, task.cancelling()

    assert asyncio.run(call()) == ("late", 0)


def test_an_error_of_the_function_s_own_clean_up_is_raised_as_it_is() -> None:
    @Guard("unclean", timeout_seconds=0.03)
    async def unclean() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("clean-up") from None

    with pytest.raises(ValueError, match="clean-up"):
        asyncio.run(unclean())


def test_nested_guards_end_at_the_shorter_time_out() -> None:
    inner, outer = Guard("inner", timeout_seconds=10), Guard("outer", timeout_seconds=0.05)
    assert seconds_until(CallTimeoutError, outer(inner(hang))) < 1
    assert inner.snapshot().count(Outcome.CANCELLED) == 1
    inner, outer = Guard("inner", timeout_seconds=0.05), Guard("outer", timeout_seconds=10)
    assert seconds_until(CallTimeoutError, outer(inner(hang))) < 1
    assert inner.snapshot().count(Outcome.TIMED_OUT) == 1


def test_a_function_s_own_timeout_error_is_its_own() -> None:
    @Guard("own", timeout_seconds=10)
    async def own() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine") as raised:
        asyncio.run(own())
    assert not isinstance(raised.value, CallTimeoutError)


def test_a_later_attempt_is_cut_too() -> None:
    guard = Guard("worse", timeout_seconds=0.05, retry=Retry(wait=lambda _: 0.0))
    calls = []

    @guard
    async def worse() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ServiceUnavailable
        await hang()

    assert seconds_until(CallTimeoutError, worse) < 1
    assert len(calls) == 2


def test_nobody_waits_for_a_token_that_comes_after_the_deadline() -> None:
    guard = Guard("busy", deadline_seconds=5, limiter=RateLimiter(rate=0.01))

    @guard
    async def answer() -> str:
        return "answer"

    async def call_twice() -> None:
        assert await answer() == "answer"
        with pytest.raises(QuotaSpentError) as rejection:
            await answer()
        assert rejection.value.retry_after == pytest.approx(100, abs=5)

    asyncio.run(call_twice())
    assert guard.snapshot().count(Outcome.QUOTA_SPENT) == 1


def test_calls_wait_for_their_token_on_the_event_loop_s_own_time() -> None:
    guard = Guard("paced", limiter=RateLimiter(rate=50))

    @guard.with_attempt
    async def call(attempt: Attempt) -> float:
        assert 29 < attempt.remaining_seconds <= 30
        return time.monotonic()

    async def four_at_once() -> float:
        began = time.monotonic()
        return max(await asyncio.gather(*(call() for _ in range(4)))) - began

    assert asyncio.run(four_at_once()) >= 3 / 50


def test_a_hung_call_does_not_make_the_others_pile_up() -> None:
    guard = Guard("one hangs", timeout_seconds=10)

    @guard
    async def quick() -> None:
        return None

    async def load() -> int:
        task = asyncio.create_task(guard(hang)())
        await asyncio.sleep(0)
        for _ in range(1000):
            await quick()
        assert guard._layers.reaper is not None
        waiting = len(guard._layers.reaper.pending)
        task.cancel()
        return waiting

    assert asyncio.run(load()) == 1
