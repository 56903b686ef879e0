"""Effectiveness: the cautious quantile, held against scipy's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from prodsprints.register.effectiveness import CEILING, distribution, effectiveness, quantile

counts = st.integers(0, 400)


@given(counts, counts)
def test_the_quantile_is_the_one_that_scipy_finds(passes: int, failures: int) -> None:
    assert quantile(0.05, passes + 0.5, failures + 0.5) == pytest.approx(
        beta.ppf(0.05, passes + 0.5, failures + 0.5), rel=1e-9, abs=1e-300
    )


@pytest.mark.parametrize(("passes", "failures"), [(1, 10**6), (10**6, 1), (10**4, 10**6), (3, 50_000)])
def test_it_stays_right_for_numbers_that_nobody_drills(passes: int, failures: int) -> None:
    assert quantile(0.05, passes + 0.5, failures + 0.5) == pytest.approx(
        beta.ppf(0.05, passes + 0.5, failures + 0.5), rel=1e-6
    )


@given(st.floats(0, 1), st.floats(0.5, 300), st.floats(0.5, 300))
def test_the_distribution_is_the_one_of_scipy(x: float, a: float, b: float) -> None:
    assert distribution(x, a, b) == pytest.approx(beta.cdf(x, a, b), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(
    ("passes", "failures", "expected"), [(4, 0, 0.64), (12, 0, 0.85), (9, 1, 0.67), (720, 0, 0.9), (0, 0, 0)]
)
def test_the_figures_of_the_design_come_out(passes: int, failures: int, expected: float) -> None:
    assert effectiveness(passes, failures) == pytest.approx(expected, abs=0.006)


@given(counts, counts)
def test_another_pass_never_lowers_it_and_another_failure_never_raises_it(passes: int, failures: int) -> None:
    here = effectiveness(passes, failures)
    assert effectiveness(passes + 1, failures) >= here >= effectiveness(passes, failures + 1)
    assert 0 <= here <= CEILING


@given(counts)
def test_what_never_held_is_worth_nothing_however_often_it_failed(failures: int) -> None:
    assert effectiveness(0, failures) == 0
