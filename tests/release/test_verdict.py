"""The verdict's promises: exact where they can be enumerated, simulated with fixed seeds where they cannot."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from fractions import Fraction
from math import comb, exp, inf, isclose, log, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsprints.release.errors import VerdictInputError
from prodsprints.release.sequential import DifferenceBound, ExcessErrors
from prodsprints.release.verdict import Judge, Policy, Tick, Verdict, judge, trail

Counts = tuple[int, int, int, int]


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    stable, canary = draw(st.integers(0, 5000)), draw(st.integers(0, 5000))
    return stable, draw(st.integers(0, min(stable, 60))), canary, draw(st.integers(0, min(canary, 60)))


def ticks_of(rows: list[Counts]) -> list[Tick]:
    return [Tick(float(second), 5.0, *row) for second, row in enumerate(rows, start=1)]


def binomial(n: int, p: float, x: int) -> float:
    return comb(n, x) * p**x * (1 - p) ** (n - x)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a simulation


def draw_errors(dice: random.Random, requests: int, rate: float) -> int:
    return sum(dice.random() < rate for _ in range(requests))


def test_a_canary_erring_on_five_percent_is_rejected_within_seconds_and_the_sentence_has_the_figures() -> None:
    dice = seeded(7)
    ticks = [Tick(second, 1.0, 297, 0, 3, draw_errors(dice, 3, 0.05)) for second in range(1, 11)]
    ticks += [Tick(second, 5.0, 285, 0, 15, draw_errors(dice, 15, 0.05)) for second in range(11, 21)]
    verdict = judge(ticks, canary="v3", stable="v2")
    assert verdict.decision == "reject"
    assert verdict.seconds <= 15
    assert verdict.e_value >= verdict.threshold == pytest.approx(1 / 0.007)
    assert f"Rejected after {verdict.seconds:.0f} s: v3 erred on {verdict.canary.errors} of" in verdict.sentence
    assert "v2 on 0 of" in verdict.sentence
    assert f"at most one of {int(verdict.e_value):,} rollouts" in verdict.sentence


def test_the_canary_is_rejected_at_the_very_look_that_reaches_the_threshold() -> None:
    ticks = [Tick(second, 10.0, 900, 9, 100, 3) for second in range(1, 61)]
    looks = trail(ticks)
    crossed = next(index for index, look in enumerate(looks) if look.e_value >= 1 / 0.007)
    assert looks[crossed].e_value < 3 / 0.007  # so that a threshold of any other size would show
    assert [look.decision == "reject" for look in looks] == [index >= crossed for index in range(60)]
    assert looks[-1].looks == crossed + 1


def test_both_figures_can_be_worked_out_by_hand() -> None:
    multipliers = (1.25, 1.75, 2.5, 3.5, 5, 7, 9.5, 13, 18, 26, 36, 50)
    verdict = judge([Tick(1, 10.0, 900, 2, 100, 1)])
    ratios = [m / (1 + 0.1 * (m - 1)) ** 3 for m in multipliers]
    assert verdict.e_value == pytest.approx(sum(ratios) / len(ratios))
    stakes = (0.03, 0.08, 0.2, 0.4, 0.7, 1)
    weight = 100 * 900 / 1000
    refuted = [(1 + stake * 0.1) ** 2 * (1 - stake * 0.9) * exp(verdict.bound * stake * weight) for stake in stakes]
    assert sum(refuted) / len(refuted) == pytest.approx(1 / 0.05)


def test_a_clean_canary_is_kept_once_enough_requests_bound_its_error_rate() -> None:
    ticks = [Tick(second, 25.0, 225, 0, 75, 0) for second in range(1, 31)]
    decisions = [verdict.decision for verdict in trail(ticks)]
    first = decisions.index("keep")
    assert decisions[:first] == ["insufficient"] * first
    assert 300 <= 75 * (first + 1) <= 700  # three over delta is the least any 95 % bound needs
    assert trail(ticks)[-1].sentence.startswith(
        "Good to keep after 30 s: the canary erred on 0 of 2,250 requests (0 %)"
    )


def test_no_data_is_insufficient_and_says_so() -> None:
    assert judge([]).decision == "insufficient"
    silent = judge([Tick(second, 1.0, 300, 2, 0, 0) for second in range(1, 100)], canary="v2")
    assert (silent.decision, silent.bound) == ("insufficient", 1.0)
    assert "v2 has answered no request yet" in silent.sentence
    assert "not a pass" in silent.sentence
    alone = judge([Tick(1, 100.0, 0, 0, 9000, 0)], stable="v1")
    assert alone.decision == "insufficient"
    assert "v1 has answered no request to compare with" in alone.sentence


def test_requests_without_a_concurrent_stable_arm_prove_nothing_either_way() -> None:
    both = [Tick(1, 5.0, 285, 3, 15, 1)]
    alone = [*both, Tick(2, 100.0, 0, 0, 50_000, 25_000)]
    assert judge(alone).log_e_value == judge(both).log_e_value
    assert judge(alone).bound == judge(both).bound


def test_fewer_requests_than_asked_for_are_insufficient_however_good_the_bound() -> None:
    ticks = [Tick(1, 25.0, 2250, 0, 750, 0)]
    assert judge(ticks).decision == "keep"
    short = judge(ticks, Policy(minimum_requests=1000))
    assert short.decision == "insufficient"
    assert "750 of the 1,000 requests asked for" in short.sentence


def test_a_rejection_wins_over_an_acceptable_difference() -> None:
    small_but_certain = [Tick(1, 50.0, 4_000_000, 4_000, 4_000_000, 8_000)]
    verdict = judge(small_but_certain)
    assert verdict.bound < verdict.delta
    assert verdict.decision == "reject"


def test_a_rejection_stands_whatever_follows() -> None:
    judge_ = Judge()
    rejected = judge_.look(Tick(1, 5.0, 950, 0, 50, 20))
    assert rejected.decision == "reject"
    assert judge_.look(Tick(2, 5.0, 95_000, 900, 5_000, 0)) is rejected


def test_an_incident_that_hits_both_arms_while_weights_change_rejects_nothing() -> None:
    # Pooled, the canary errs on 19 % and the stable arm on 5 %: only because it got its requests in the incident.
    before = [Tick(second, 1.0, 990, 10, 10, 0) for second in range(1, 61)]
    during = [Tick(second, 50.0, 500, 100, 500, 100) for second in range(61, 91)]
    verdict = judge(before + during)
    assert verdict.canary.rate > 3 * verdict.stable.rate
    assert verdict.decision != "reject"
    assert verdict.e_value < 1
    assert verdict.bound < 0.02


@given(st.lists(counts(), max_size=12))
def test_the_incremental_verdict_equals_the_batch_verdict_at_every_look(rows: list[Counts]) -> None:
    ticks = ticks_of(rows)
    judge_ = Judge()
    for number, tick in enumerate(ticks, start=1):
        assert judge_.look(tick) == judge(ticks[:number])
    assert judge_.verdict == judge(ticks)
    assert trail(ticks) == [judge(ticks[:number]) for number in range(1, len(ticks) + 1)]


@given(st.lists(counts(), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_counts_moves_neither_evidence_nor_bound(rows: list[Counts], dice: random.Random) -> None:
    shuffled = dice.sample(rows, len(rows))
    one, other = _accumulated(rows), _accumulated(shuffled)
    assert one == pytest.approx(other, rel=1e-9, abs=1e-7)


@given(counts(), st.integers(2, 5))
def test_cutting_a_tick_into_proportional_parts_moves_neither_evidence_nor_bound(row: Counts, parts: int) -> None:
    whole = (row[0] * parts, row[1] * parts, row[2] * parts, row[3] * parts)
    assert _accumulated([whole]) == pytest.approx(_accumulated([row] * parts), rel=1e-9, abs=1e-7)


@given(st.lists(counts(), min_size=1, max_size=6), counts())
def test_one_more_canary_error_never_helps_the_canary(rows: list[Counts], row: Counts) -> None:
    stable, stable_errors, canary, canary_errors = row
    better = _accumulated([*rows, (stable, stable_errors, canary + 1, canary_errors)])
    worse = _accumulated([*rows, (stable, stable_errors, canary + 1, canary_errors + 1)])
    assert worse[0] >= better[0] - 1e-9
    assert worse[1] >= better[1] - 1e-7


@given(st.lists(counts(), max_size=8))
def test_a_decision_always_agrees_with_its_own_evidence(rows: list[Counts]) -> None:
    verdict = judge(ticks_of(rows))
    rejected = verdict.log_e_value >= verdict.log_threshold
    kept = not rejected and verdict.bound <= verdict.delta and verdict.canary.requests >= verdict.minimum_requests
    assert verdict.decision == ("reject" if rejected else "keep" if kept else "insufficient")
    assert -1 <= verdict.bound <= 1
    if verdict.stable.requests and verdict.canary.requests and verdict.bound < 1 and len(rows) == 1:
        assert verdict.bound >= verdict.canary.rate - verdict.stable.rate
    assert json.loads(json.dumps(verdict.as_json(), allow_nan=False))["decision"] == verdict.decision


@given(st.integers(1, 14), st.integers(1, 14), st.integers(1, 27))
def test_the_e_value_of_a_tick_has_mean_at_most_one_when_errors_fall_by_chance(
    stable: int, canary: int, errors: int
) -> None:
    """Exactly, by enumeration: both as the design states it (binomial) and as requests really are (hypergeometric)."""
    errors = min(errors, stable + canary)
    share = canary / (stable + canary)
    possible = range(max(0, errors - stable), min(errors, canary) + 1)
    ways = comb(stable + canary, errors)
    drawn = sum(
        float(Fraction(comb(canary, x) * comb(stable, errors - x), ways)) * _e_value(stable, errors - x, canary, x)
        for x in possible
    )
    assert drawn <= 1 + 1e-9
    tossed = sum(binomial(errors, share, x) * _e_value(stable, errors - x, canary, x) for x in range(errors + 1))
    assert isclose(tossed, 1, rel_tol=1e-9)


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 25), st.floats(0, 1), st.floats(-1, 1))
def test_one_look_at_the_bound_misses_the_true_difference_in_at_most_five_percent(
    stable: int, canary: int, base: float, difference: float
) -> None:
    rate = min(1.0, max(0.0, base + difference))
    missed = 0.0
    for stable_errors in range(stable + 1):
        for canary_errors in range(canary + 1):
            bound = DifferenceBound(0.05)
            bound.add(stable, stable_errors, canary, canary_errors)
            if bound.upper < rate - base - 1e-7:
                missed += binomial(stable, base, stable_errors) * binomial(canary, rate, canary_errors)
    assert missed <= 0.05


def test_looking_two_hundred_times_breaks_neither_promise() -> None:
    """Healthy canaries under error rates that jump for both arms at once; canaries exactly delta worse."""
    dice = seeded(20261123)
    runs, looks = 150, 120
    rejected = kept = 0
    for _ in range(runs):
        healthy, worse = [], []
        for look in range(looks):
            weight = (0.05, 0.25, 0.5)[look * 3 // looks]
            base = 0.2 if 50 <= look < 60 else 0.02
            canary = sum(dice.random() < weight for _ in range(60))
            stable_errors = draw_errors(dice, 60 - canary, base)
            shape = (look + 1.0, 100 * weight, 60 - canary, stable_errors, canary)
            healthy.append(Tick(*shape, draw_errors(dice, canary, base)))
            worse.append(Tick(*shape, draw_errors(dice, canary, base + 0.03)))
        rejected += judge(healthy).decision == "reject"
        kept += any(verdict.decision == "keep" for verdict in trail(worse, Policy(delta=0.03)))
    assert rejected <= 4  # 0.7 % promised; the chance of 5 of 150 at that rate is 0.5 %
    assert kept <= 13  # 5 % promised; the chance of 14 of 150 at that rate is 2 %, and the seed is fixed


def test_evidence_beyond_any_float_stays_finite_and_readable() -> None:
    verdict = judge([Tick(1, 50.0, 10**9, 0, 10**9, 10**8)])
    assert verdict.decision == "reject"
    assert verdict.e_value <= 1e300 * (1 + 1e-9)
    assert "one in a million rollouts" in verdict.sentence
    json.dumps(verdict.as_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("stable_requests", -1, "stable arm's requests"),
        ("canary_errors", -3, "canary arm's errors"),
        ("canary_errors", 16, "16 errors in 15 requests"),
        ("stable_errors", nan, "stable arm's errors"),
        ("canary_requests", 15.0, "canary arm's requests"),
        ("canary_requests", True, "canary arm's requests"),
        ("at", nan, "time"),
        ("at", inf, "time"),
        ("at", -1.0, "time"),
        ("weight", 101.0, "weight"),
        ("weight", nan, "weight"),
    ],
)
def test_counts_that_cannot_be_are_refused_with_what_is_wrong(field: str, value: object, said: str) -> None:
    with pytest.raises(VerdictInputError, match=said) as refusal:
        replace(Tick(1.0, 5.0, 285, 2, 15, 1), **{field: value})  # type: ignore[arg-type]
    assert refusal.value.next_step


@pytest.mark.parametrize("field", ["alpha_errors", "alpha_rest", "delta", "alpha_keep"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, nan])
def test_a_policy_outside_its_range_is_refused(field: str, value: float) -> None:
    with pytest.raises(VerdictInputError, match=field):
        replace(Policy(), **{field: value})


def test_time_that_runs_backwards_is_refused() -> None:
    judge_ = Judge()
    judge_.look(Tick(5.0, 5.0, 10, 0, 1, 0))
    with pytest.raises(VerdictInputError, match="4 s came after one at 5 s"):
        judge_.look(Tick(4.0, 5.0, 10, 0, 1, 0))


def test_a_better_canary_is_told_so() -> None:
    verdict: Verdict = judge([Tick(90.0, 50.0, 5000, 500, 5000, 50)], canary="v2", stable="v1")
    assert verdict.decision == "keep"
    assert verdict.bound < 0
    assert "percentage points lower or better" in verdict.sentence


def _e_value(*row: int) -> float:
    excess = ExcessErrors()
    excess.add(*row)
    return exp(excess.log_e_value)


def _accumulated(rows: list[Counts]) -> tuple[float, float]:
    excess, difference = ExcessErrors(), DifferenceBound(0.05)
    for row in rows:
        excess.add(*row)
        difference.add(*row)
    return excess.log_e_value / log(10), difference.upper
