"""The token bucket keeps its bound under any arrivals, and a freeze empties it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.guard import GuardInputError, RateLimiter

# Steps of 1/1024 s and rates that are powers of two: exact in binary, so the bound holds without any tolerance.
STEPS = st.lists(st.integers(0, 2048), min_size=1, max_size=200)
RATES = st.sampled_from([0.5, 1.0, 8.0, 64.0, 1024.0])
BURSTS = st.integers(1, 50)


def taken_at(limiter: RateLimiter, steps: list[int]) -> list[float]:
    now, taken = 100.0, []
    for step in steps:
        now += step / 1024
        if not limiter.take(now):
            taken.append(now)
    return taken


@given(STEPS, RATES, BURSTS)
def test_no_window_ever_holds_more_than_burst_plus_rate_times_its_length(
    steps: list[int], rate: float, burst: int
) -> None:
    taken = taken_at(RateLimiter(rate=rate, burst=burst), steps)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + rate * (taken[last] - begin)


@given(STEPS, RATES, BURSTS)
def test_it_grants_exactly_what_a_counted_bucket_grants(steps: list[int], rate: float, burst: int) -> None:
    limiter, tokens, now = RateLimiter(rate=rate, burst=burst), float(burst), 100.0
    for step in steps:
        now += step / 1024
        tokens = min(burst, tokens + rate * step / 1024)
        assert limiter.remaining(now) == pytest.approx(tokens)
        granted = not limiter.take(now)
        assert granted == (tokens >= 1)
        tokens -= granted


@given(STEPS, RATES, BURSTS)
def test_after_the_wait_it_names_there_is_a_token_and_not_much_before(
    steps: list[int], rate: float, burst: int
) -> None:
    limiter, now = RateLimiter(rate=rate, burst=burst), 100.0
    for step in steps:
        now += step / 1024
        wait = limiter.take(now)
        if wait:
            assert limiter.take(now + wait * 0.99) > 0
            assert limiter.take(now + wait) == 0
            return


def test_a_freeze_holds_and_ends_with_an_empty_bucket() -> None:
    limiter = RateLimiter(rate=10, burst=50)
    limiter.freeze(103.0)
    assert limiter.take(100.0) == pytest.approx(3.0)
    assert limiter.remaining(102.5) == 0
    assert limiter.take(103.0) == 0
    assert limiter.take(103.0) == pytest.approx(0.1)


def test_a_shorter_freeze_does_not_end_a_longer_one() -> None:
    limiter = RateLimiter(rate=10, burst=50)
    limiter.freeze(200.0)
    limiter.freeze(101.0)
    assert limiter.frozen_until == 200.0
    assert limiter.take(150.0) > 0


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf, True, "9"])
def test_a_rate_that_is_no_limit_is_refused(rate: float) -> None:
    with pytest.raises(GuardInputError, match="rate must be"):
        RateLimiter(rate=rate)


@pytest.mark.parametrize("burst", [0, 0.5, -3, math.nan, math.inf])
def test_a_burst_below_one_would_never_grant_and_is_refused(burst: float) -> None:
    with pytest.raises(GuardInputError, match="burst must be"):
        RateLimiter(rate=1, burst=burst)
