"""The rating table and the bands of probability."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.register.errors import RegisterError
from prodsprints.register.rating import Level, Probability, band, rate

TABLE = {"critical": "HHCCC", "high": "MMHHC", "medium": "LMMHH", "low": "LLLMM"}
WORST_FIRST = list(Level)


def test_every_cell_of_the_table_is_as_the_design_has_it() -> None:
    for level in Level:
        assert "".join(rate(level, probability)[0].upper() for probability in Probability) == TABLE[level]


@given(st.sampled_from(Level), st.sampled_from(Level), st.sampled_from(Probability), st.sampled_from(Probability))
def test_a_worse_or_likelier_risk_is_never_rated_lower(a: Level, b: Level, p: Probability, q: Probability) -> None:
    if WORST_FIRST.index(a) <= WORST_FIRST.index(b) and p >= q:
        assert WORST_FIRST.index(rate(a, p)) <= WORST_FIRST.index(rate(b, q))


@pytest.mark.parametrize("probability", [0, 6, -1, 3, 3.0, True, math.nan, "3", None])
def test_only_a_probability_can_be_rated(probability: object) -> None:
    with pytest.raises(RegisterError):
        rate(Level.HIGH, probability)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chance", "expected"),
    [(0, 1), (0.2, 2), (0.4, 3), (0.6, 4), (0.8, 4), (math.nextafter(0.8, 1), 5), (1, 5), (math.nextafter(0.2, 0), 1)],
)
def test_the_edges_of_the_bands_are_as_the_design_has_them(chance: float, expected: int) -> None:
    assert band(chance) == expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_greater_chance_is_never_in_a_lower_band(a: float, b: float) -> None:
    assert band(min(a, b)) <= band(max(a, b))


@given(st.floats().filter(lambda chance: not 0 <= chance <= 1))
def test_what_is_no_chance_is_refused_and_never_clamped(chance: float) -> None:
    with pytest.raises(RegisterError):
        band(chance)
