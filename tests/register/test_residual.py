"""Residual: what the proven controls leave of a risk, over its failure paths."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prodsprints.register.model import FailurePath, Risk
from prodsprints.register.rating import Level, Probability
from prodsprints.register.register import Register
from prodsprints.register.residual import inherent, residual, target

ROWS = [f"R001.{number}" for number in range(1, 6)]
effects = st.dictionaries(st.sampled_from(ROWS), st.floats(0, 0.9))


@st.composite
def paths(draw: st.DrawFn) -> tuple[FailurePath, ...]:
    weights = draw(st.lists(st.integers(1, 50), min_size=1, max_size=4))
    held = [tuple(sorted(draw(st.sets(st.sampled_from(ROWS))))) for _ in weights]
    return tuple(
        FailurePath(f"way {index}", weight / sum(weights), rows)
        for index, (weight, rows) in enumerate(zip(weights, held, strict=True))
    )


@pytest.fixture
def risk(register: Register) -> Risk:
    return register.risk("R001")


def test_a_path_that_nothing_holds_keeps_all_of_its_events(risk: Risk) -> None:
    shared = replace(risk, paths=(FailurePath("held", 0.5, ("R001.1",)), FailurePath("open", 0.5)))
    left = residual(shared, {"R001.1": 0.8})
    assert left.events_per_year == pytest.approx(inherent(risk).events_per_year * 0.6)


def test_a_risk_without_declared_paths_does_not_move_whatever_is_proven(risk: Risk) -> None:
    unprotected = replace(risk, paths=())
    assert residual(unprotected, dict.fromkeys(ROWS, 0.9)) == inherent(unprotected)
    assert target(unprotected) is None


def test_controls_of_one_module_hold_a_path_once_by_the_best_of_them(risk: Risk) -> None:
    modules = {"R001.1": "guard:Retry", "R001.3": "guard:Breaker", "R001.4": "keys:Pool"}
    rows = tuple(replace(row, control=modules.get(row.id)) for row in risk.mitigations)
    held = replace(risk, mitigations=rows, paths=(FailurePath("one", 1.0, tuple(modules)),))
    left = residual(held, {"R001.1": 0.5, "R001.3": 0.8, "R001.4": 0.5})
    assert left.events_per_year == pytest.approx(inherent(risk).events_per_year * 0.2 * 0.5)


def test_the_rating_of_what_is_left_is_looked_up_in_its_band(risk: Risk) -> None:
    held = replace(risk, paths=(FailurePath("one", 1.0, ("R001.1",)),))
    left = residual(held, {"R001.1": 0.85})
    assert (left.probability, left.rating) == (Probability.VERY_UNLIKELY, Level.HIGH)
    assert left.chance == pytest.approx(1 - 0.3**0.15)


def test_the_target_is_what_all_rows_that_are_to_hold_it_could_come_to(risk: Risk) -> None:
    planned = target(replace(risk, paths=(FailurePath("one", 0.9, ("R001.1",)), FailurePath("rest", 0.1))))
    assert planned is not None
    assert planned.events_per_year == pytest.approx(inherent(risk).events_per_year * 0.19)


@given(paths(), effects, st.sampled_from(Probability))
def test_it_is_never_above_the_inherent_one(
    register: Register, ways: tuple[FailurePath, ...], held: dict[str, float], probability: Probability
) -> None:
    risk = replace(register.risk("R001"), paths=ways, probability=probability)
    before, left = inherent(risk), residual(risk, held)
    assert left.events_per_year <= before.events_per_year
    assert left.probability <= before.probability
    if not any(held.values()):
        assert left == before


@given(paths(), effects, st.sampled_from(ROWS), st.floats(0, 0.9))
def test_a_row_that_holds_more_never_leaves_more(
    register: Register, ways: tuple[FailurePath, ...], held: dict[str, float], row: str, more: float
) -> None:
    assume(more >= held.get(row, 0))
    risk = replace(register.risk("R001"), paths=ways)
    better = residual(risk, held | {row: more}).events_per_year
    assert better <= residual(risk, held).events_per_year * (1 + 1e-12)


@given(paths(), effects, st.sampled_from(Probability), st.sampled_from(Probability))
def test_a_likelier_risk_never_leaves_less(
    register: Register, ways: tuple[FailurePath, ...], held: dict[str, float], a: Probability, b: Probability
) -> None:
    assume(a <= b)
    less, more = (residual(replace(register.risk("R001"), paths=ways, probability=p), held) for p in (a, b))
    assert less.events_per_year <= more.events_per_year
    assert less.probability <= more.probability
