"""The breaker's states, against a model under any history, and what counts as a failure."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from prodsprints.guard import (
    BulkheadFullError,
    Circuit,
    CircuitBreaker,
    CircuitOpenError,
    GuardInputError,
    RateLimitError,
    ServiceUnavailable,
)

RECOVERY = 10.0


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin and end in any order; a model says for each era what must be admitted."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.under_way: list[int] = []

    @initialize(threshold=st.integers(1, 4))
    def build(self, threshold: int) -> None:
        self.threshold = threshold
        self.breaker = CircuitBreaker(failure_threshold=threshold, recovery_timeout=RECOVERY)
        self.state, self.failures, self.changes_at = Circuit.CLOSED, 0, -math.inf
        self.era = 0

    @rule(seconds=st.sampled_from([0.0, 1.0, RECOVERY / 2, RECOVERY]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_call_begins(self) -> None:
        admitted = self.state is Circuit.CLOSED or self.now >= self.changes_at
        if not admitted:
            with pytest.raises(CircuitOpenError) as rejection:
                self.breaker.admit(self.now)
            assert rejection.value.retry_after == pytest.approx(self.changes_at - self.now)
            return
        if self.state is not Circuit.CLOSED:
            self.enter(Circuit.HALF_OPEN, self.now + RECOVERY)
        self.under_way.append(self.breaker.admit(self.now))
        assert self.under_way[-1] == self.era

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), end=st.sampled_from(["answer", "failure", "throttled", "rejected", "cancelled"]))
    def a_call_ends(self, data: st.DataObject, end: str) -> None:
        era = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        if end == "answer":
            self.breaker.succeeded(era)
        else:
            self.breaker.ended(era, ERRORS[end], self.now)
        if era != self.era:
            return
        if end == "answer":
            self.failures = 0
            if self.state is Circuit.HALF_OPEN:
                self.enter(Circuit.CLOSED, -math.inf)
        elif end == "failure":
            self.failures += 1
            if self.state is Circuit.HALF_OPEN or self.failures >= self.threshold:
                self.enter(Circuit.OPEN, self.now + RECOVERY)
        elif self.state is Circuit.HALF_OPEN:
            self.enter(Circuit.OPEN, self.now)

    def enter(self, state: Circuit, changes_at: float) -> None:
        self.state, self.changes_at = state, changes_at
        self.era += 1

    @invariant()
    def it_is_where_the_model_is(self) -> None:
        if hasattr(self, "breaker"):
            assert self.breaker.circuit is self.state

    @invariant()
    def at_most_one_probe_of_the_present_era_is_under_way(self) -> None:
        if hasattr(self, "breaker") and self.state is Circuit.HALF_OPEN:
            assert self.under_way.count(self.era) <= 1


ERRORS: dict[str, BaseException] = {
    "failure": ConnectionResetError(),
    "throttled": RateLimitError(),
    "rejected": BulkheadFullError(),
    "cancelled": KeyboardInterrupt(),
}

TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_only_declared_errors_count_when_they_are_declared() -> None:
    breaker = CircuitBreaker(failure_threshold=1, failures=(ServiceUnavailable,))
    breaker.ended(breaker.admit(0), ValueError("the caller's own"), 0)
    assert breaker.circuit is Circuit.CLOSED
    breaker.ended(breaker.admit(0), ServiceUnavailable(), 0)
    assert breaker.circuit is Circuit.OPEN


def test_a_late_answer_from_before_it_opened_does_not_close_it() -> None:
    breaker = CircuitBreaker(failure_threshold=1)
    slow, failing = breaker.admit(0), breaker.admit(0)
    breaker.failed(failing, 0)
    breaker.succeeded(slow)
    assert breaker.circuit is Circuit.OPEN


def test_a_probe_that_never_returns_does_not_keep_it_open_for_ever() -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=RECOVERY)
    breaker.failed(breaker.admit(0), 0)
    lost = breaker.admit(RECOVERY)
    with pytest.raises(CircuitOpenError):
        breaker.admit(RECOVERY)
    second = breaker.admit(2 * RECOVERY)
    breaker.succeeded(lost)
    assert breaker.circuit is Circuit.HALF_OPEN
    breaker.succeeded(second)
    assert breaker.circuit is Circuit.CLOSED


@pytest.mark.parametrize("threshold", [0, -1, 1.5, True])
def test_a_threshold_that_is_no_count_is_refused(threshold: int) -> None:
    with pytest.raises(GuardInputError, match="failure_threshold"):
        CircuitBreaker(failure_threshold=threshold)


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, math.inf])
def test_a_recovery_timeout_that_never_or_always_ends_is_refused(seconds: float) -> None:
    with pytest.raises(GuardInputError, match="recovery_timeout"):
        CircuitBreaker(recovery_timeout=seconds)
