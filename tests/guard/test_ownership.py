"""One loop or many threads, never both, and no fork: state is never raced on nor spent twice."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pytest

from guard.support_clock import ManualClock
from prodsprints.guard import (
    Bulkhead,
    BulkheadFullError,
    Circuit,
    CircuitBreaker,
    CircuitOpenError,
    Guard,
    GuardInputError,
    GuardMisusedError,
    Outcome,
    RateLimiter,
    Retry,
    ServiceUnavailable,
)


async def answer() -> str:
    return "answer"


def returns_a_coroutine() -> object:
    return answer()


def in_thread(work: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_a_second_event_loop_is_refused_while_the_first_lives() -> None:
    call = Guard("p")(answer)

    async def first() -> None:
        await call()
        with pytest.raises(GuardMisusedError, match="another event loop"):
            in_thread(lambda: asyncio.run(call()))

    asyncio.run(first())


def test_the_next_loop_may_use_it_when_the_first_is_closed() -> None:
    guard = Guard("p", timeout_seconds=5)
    call = guard(answer)
    assert [asyncio.run(call()), asyncio.run(call())] == ["answer", "answer"]
    assert guard.snapshot().count(Outcome.SUCCEEDED) == 2


def test_threads_and_a_loop_at_once_are_refused() -> None:
    guard = Guard("p")
    assert guard(str.upper)("a") == "A"
    with pytest.raises(GuardMisusedError, match="by threads"):
        asyncio.run(guard(answer)())


def test_a_shared_part_has_one_owner_too() -> None:
    breaker = CircuitBreaker()
    assert Guard("a", breaker=breaker)(str.upper)("a") == "A"
    with pytest.raises(GuardMisusedError, match="CircuitBreaker"):
        asyncio.run(Guard("b", breaker=breaker)(answer)())


@pytest.mark.parametrize("used", [True, False])
def test_after_a_fork_only_an_unused_guard_may_be_used(used: bool) -> None:
    call = Guard("p", limiter=RateLimiter(rate=1, burst=10))(str.upper)
    if used:
        call("a")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = call("b")
        except GuardMisusedError as error:
            said = str(error)
        except BaseException as error:
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reading, 1000).decode()
    os.close(reading)
    os.close(writing)
    assert ("before the process forked" in said) if used else (said == "B")
    assert call("c") == "C"


def test_threads_lose_no_count() -> None:
    guard = Guard("p", bulkhead=Bulkhead(8), limiter=RateLimiter(rate=1e9, burst=1e9))
    call = guard(lambda: None)

    def work() -> None:
        for _ in range(3000):
            call()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guard.snapshot().count(Outcome.SUCCEEDED) == 24_000
    assert guard.snapshot().in_flight == 0


def test_threads_together_get_exactly_the_burst() -> None:
    limiter = RateLimiter(rate=0.001, burst=500)
    call = Guard("p", limiter=limiter, deadline_seconds=0.5)(lambda: True)

    def work(_: int) -> bool:
        try:
            return call()
        except Exception:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(800))) == 500


def test_of_many_threads_exactly_one_probes(clock: ManualClock) -> None:
    guard = Guard("p", clock=clock, breaker=CircuitBreaker(failure_threshold=1, recovery_timeout=10))
    leave = threading.Event()
    failing = [True]

    @guard
    def call() -> None:
        if failing[0]:
            failing[0] = False
            raise ValueError
        leave.wait(10)

    with pytest.raises(ValueError):
        call()
    assert guard.snapshot().circuit is Circuit.OPEN
    clock.seconds += 10

    def probe(_: int) -> bool:
        try:
            call()
        except CircuitOpenError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        probes = [pool.submit(probe, number) for number in range(8)]
        rejected = [next_done.result() for next_done in islice(as_completed(probes, timeout=10), 7)]
        leave.set()
        assert rejected == [False] * 7
        assert sum(future.result() for future in probes) == 1
    assert guard.snapshot().circuit is Circuit.CLOSED


def test_one_call_too_many_is_rejected_at_once_and_counts_against_nobody() -> None:
    guard = Guard("p", bulkhead=Bulkhead(2))

    async def crowd() -> list[object]:
        leave = asyncio.Event()
        calls = [asyncio.create_task(guard(leave.wait)()) for _ in range(5)]
        await asyncio.sleep(0)
        leave.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = asyncio.run(crowd())
    assert sum(isinstance(answer, BulkheadFullError) for answer in answers) == 3
    assert isinstance(answers[-1], ServiceUnavailable)
    assert guard.snapshot().count(Outcome.BULKHEAD_FULL) == 3
    assert guard._layers.breaker.failures_in_a_row == 0
    assert guard.snapshot().in_flight == 0


def test_a_plain_function_that_returns_a_coroutine_is_refused() -> None:
    with pytest.raises(GuardMisusedError, match="outside its guard"):
        Guard("p")(returns_a_coroutine)()


def test_a_later_attempt_that_returns_a_coroutine_is_refused_too() -> None:
    ends = iter([ServiceUnavailable()])

    def call() -> object:
        for error in ends:
            raise error
        return answer()

    with pytest.raises(GuardMisusedError, match="outside its guard"):
        Guard("p", retry=Retry(wait=lambda _: 0.0))(call)()


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(GuardInputError, match="decorates functions"):
        Guard("p")("call")  # type: ignore[call-overload]


def test_what_works_while_it_is_iterated_is_refused() -> None:
    def pages() -> object:
        yield 1

    async def pages_async() -> object:  # type: ignore[misc]
        yield 1

    for generator in (pages, pages_async):
        with pytest.raises(GuardInputError, match="generator"):
            Guard("p")(generator)


@pytest.mark.parametrize("limit", [0, -1, 2.5, True])
def test_a_bulkhead_without_room_is_refused(limit: int) -> None:
    with pytest.raises(GuardInputError, match="limit"):
        Bulkhead(limit)


@pytest.mark.parametrize("name", ["deadline_seconds", "timeout_seconds", "freeze_seconds", "longest_freeze_seconds"])
@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_times_that_never_or_always_end_are_refused(name: str, seconds: float) -> None:
    times = {name: seconds}
    with pytest.raises(GuardInputError, match=name):
        Guard("p", **times)  # type: ignore[arg-type]
