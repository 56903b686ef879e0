"""What a guard makes again, when, and when it stops: in threads, where waiting is a clock's matter."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.support_clock import ManualClock
from prodsprints.guard import (
    CallTimeoutError,
    CircuitBreaker,
    Guard,
    GuardInputError,
    Outcome,
    QuotaSpentError,
    RateLimitError,
    Retry,
    RetryBudget,
    ServiceUnavailable,
    full_jitter,
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
)


class Provider:
    """Fails as it is told, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def guard(clock: ManualClock, **layers: Any) -> Guard:
    return Guard("provider", clock=clock, **{"random": lambda: 0.5, **layers})


def half_jitter() -> Retry:
    return Retry(wait=full_jitter(random=lambda: 0.5))


def test_it_answers_in_the_end_and_waits_with_full_jitter(clock: ManualClock) -> None:
    provider = Provider(*[ServiceUnavailable() for _ in range(4)])
    assert guard(clock, retry=half_jitter())(provider)() == "answer"
    assert clock.slept == [0.5, 1.0, 2.0, 4.0]


def test_the_fifth_failure_is_the_callers(clock: ManualClock) -> None:
    provider = Provider(*[ServiceUnavailable(f"number {number}") for number in range(1, 10)])
    with pytest.raises(ServiceUnavailable, match="number 5"):
        guard(clock)(provider)()
    assert provider.calls == 5


@pytest.mark.parametrize("error", [ValueError(), ConnectionResetError(), TimeoutError(), CallTimeoutError()])
def test_what_may_have_been_done_is_not_done_twice_by_default(clock: ManualClock, error: Exception) -> None:
    provider = Provider(error)
    with pytest.raises(type(error)):
        guard(clock)(provider)()
    assert provider.calls == 1


def test_retry_after_is_a_floor_with_the_jitter_on_top(clock: ManualClock) -> None:
    assert guard(clock, retry=half_jitter())(Provider(ServiceUnavailable(retry_after=10)))() == "answer"
    assert clock.slept == [10.5]


def test_a_throttled_call_comes_back_after_retry_after(clock: ManualClock) -> None:
    guarded = guard(clock, retry=half_jitter())
    assert guarded(Provider(RateLimitError(retry_after=10)))() == "answer"
    assert sum(clock.slept) >= 10
    assert guarded.snapshot().throttled == 1


@pytest.mark.parametrize("error", [RateLimitError(31), ServiceUnavailable(retry_after=31)])
def test_a_floor_past_the_deadline_is_raised_at_once(clock: ManualClock, error: Exception) -> None:
    provider = Provider(error)
    with pytest.raises(type(error)) as raised:
        guard(clock, deadline_seconds=30)(provider)()
    assert raised.value is error
    assert clock.slept == []


def test_a_retry_after_of_a_year_is_believed_for_five_minutes(clock: ManualClock) -> None:
    guarded = guard(clock, deadline_seconds=30)
    provider = Provider(RateLimitError(365 * 86400.0))
    with pytest.raises(RateLimitError):
        guarded(provider)()
    clock.seconds += 240
    with pytest.raises(QuotaSpentError) as rejection:
        guarded(provider)()
    assert rejection.value.retry_after == pytest.approx(60)
    clock.seconds += 60
    assert guarded(provider)() == "answer"
    assert provider.calls == 2


def test_a_year_without_a_deadline_is_a_wait_of_five_minutes(clock: ManualClock) -> None:
    decorated = retry(wait=wait_fixed(1), clock=clock)(Provider(RateLimitError(365 * 86400.0)))
    assert decorated() == "answer"
    assert clock.slept == [301]


def test_when_everything_fails_the_budget_ends_the_retries(clock: ManualClock) -> None:
    breaker = CircuitBreaker(failure_threshold=1_000_000)
    guarded = guard(clock, breaker=breaker, budget=RetryBudget(reserve=10), retry=Retry(wait=lambda _: 0.0))
    provider = Provider(*[ServiceUnavailable()] * 10_000)
    for _ in range(1000):
        clock.seconds += 0.001
        with pytest.raises(ServiceUnavailable):
            guarded(provider)()
    assert provider.calls <= 1.1 * 1000
    assert guarded.snapshot().budget_spent > 900


def test_successes_earn_retries_and_so_does_time() -> None:
    budget = RetryBudget(share=0.5, reserve=2)
    assert [budget.spend(0.0) for _ in range(3)] == [True, True, False]
    budget.succeeded()
    budget.succeeded()
    assert [budget.spend(0.0) for _ in range(2)] == [True, False]
    assert [budget.spend(60.0) for _ in range(3)] == [True, True, False]


@given(st.integers(1, 2000), st.floats(0, 1, exclude_max=True), st.floats(0.001, 100), st.floats(0.001, 1000))
def test_full_jitter_stays_within_its_bounds(attempt: int, drawn: float, initial: float, most: float) -> None:
    wait = full_jitter(initial=initial, max=most, random=lambda: drawn)(SimpleNamespace(attempt_number=attempt))
    assert 0 <= wait <= most
    assert wait <= initial * 2.0 ** min(attempt - 1, 500)


def test_tenacity_s_strategies_see_what_happened_by_the_guard_s_clock(clock: ManualClock) -> None:
    seen = []

    def wait(state: Any) -> float:
        seen.append((state.attempt_number, state.idle_for, state.seconds_since_start, str(state.outcome.exception())))
        return 2.0

    policy = Retry(stop=stop_after_attempt(9) | stop_after_delay(5), wait=wait, retry=retry_if_exception_type(OSError))
    provider = Provider(*[OSError(f"{number}") for number in range(9)])
    with pytest.raises(OSError, match="3"):
        guard(clock, retry=policy)(provider)()
    assert seen == [(1, 0.0, 0.0, "0"), (2, 2.0, 2.0, "1"), (3, 4.0, 4.0, "2")]


def test_a_rejection_is_never_retried_even_if_a_strategy_would(clock: ManualClock) -> None:
    guarded = guard(clock, retry=Retry(retry=lambda _: True))
    guarded._layers.bulkhead.limit = 0
    with pytest.raises(ServiceUnavailable):
        guarded(Provider())()
    assert guarded.snapshot().retries == 0
    assert guarded.snapshot().count(Outcome.BULKHEAD_FULL) == 1


@pytest.mark.parametrize("wait", [math.nan, math.inf])
def test_a_wait_that_never_ends_is_no_wait(clock: ManualClock, wait: float) -> None:
    with pytest.raises(ServiceUnavailable):
        guard(clock, retry=Retry(wait=lambda _: wait))(Provider(ServiceUnavailable()))()


def test_strategies_that_look_at_results_are_refused() -> None:
    from tenacity import retry_if_result

    for strategy in (retry_if_result(bool), retry_if_exception_type(OSError) | retry_if_result(bool)):
        with pytest.raises(GuardInputError, match="never results"):
            Retry(retry=strategy)


@pytest.mark.parametrize("name", ["stop", "wait", "retry"])
def test_what_is_no_strategy_is_refused(name: str) -> None:
    arguments: dict[str, Any] = {name: 5}
    with pytest.raises(GuardInputError, match=name):
        Retry(**arguments)


@pytest.mark.parametrize("build", [lambda: full_jitter(initial=0), lambda: full_jitter(max=math.nan)])
def test_a_jitter_without_room_is_refused(build: Callable[[], object]) -> None:
    with pytest.raises(GuardInputError):
        build()
