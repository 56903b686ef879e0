"""A snapshot says how often what happened, and how long it took."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.support_clock import ManualClock
from prodsprints.guard import Circuit, CircuitBreaker, CircuitOpenError, Guard, Outcome, Retry, ServiceUnavailable
from prodsprints.guard.telemetry import BOUNDS_SECONDS, Histogram


def test_each_call_has_one_outcome(clock: ManualClock) -> None:
    guard = Guard("p", clock=clock, retry=Retry(stop=lambda _: True), breaker=CircuitBreaker(failure_threshold=2))
    ends = iter([None, ServiceUnavailable(), None, ValueError(), ServiceUnavailable()])

    @guard
    def call() -> None:
        clock.seconds += 0.2
        end = next(ends)
        if end is not None:
            raise end

    for _ in range(7):
        try:
            call()
        except (ServiceUnavailable, ValueError):
            clock.seconds += 1
    seen = guard.snapshot()
    assert {outcome: seen.count(outcome) for outcome in seen.calls} == {
        Outcome.SUCCEEDED: 2,
        Outcome.FAILED: 3,
        Outcome.CIRCUIT_OPEN: 2,
    }
    assert (seen.circuit, seen.trips, seen.in_flight) == (Circuit.OPEN, 1, 0)
    assert seen.calls[Outcome.SUCCEEDED].seconds == pytest.approx(0.4)
    assert seen.calls[Outcome.SUCCEEDED].quantile(0.5) == 0.25


def test_a_snapshot_does_not_change_when_the_guard_goes_on(clock: ManualClock) -> None:
    guard = Guard("p", clock=clock)
    call = guard(lambda: None)
    call()
    before = guard.snapshot()
    call()
    assert before.count(Outcome.SUCCEEDED) == 1
    assert guard.snapshot().count(Outcome.SUCCEEDED) == 2


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_an_upper_bound_and_the_best_that_the_buckets_know(seconds: list[float], share: float) -> None:
    histogram = Histogram()
    for value in seconds:
        histogram.add(value)
    bound = histogram.freeze().quantile(share)
    assert sum(value <= bound for value in seconds) >= share * len(seconds)
    narrower = [smaller for smaller in BOUNDS_SECONDS if smaller < bound]
    if narrower:
        assert sum(value <= narrower[-1] for value in seconds) < share * len(seconds)


def test_no_calls_have_no_quantile() -> None:
    assert Histogram().freeze().quantile(0.99) == 0


def test_an_outcome_of_a_rejection_names_the_layer() -> None:
    assert Outcome.of(CircuitOpenError()) is Outcome.CIRCUIT_OPEN
    assert Outcome.of(KeyboardInterrupt()) is Outcome.CANCELLED
