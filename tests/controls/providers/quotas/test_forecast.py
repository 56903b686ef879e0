"""Forecasts: on known series the known day, never NaN, in any order and unit, and an honest "not enough data"."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf, isfinite, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsprints.controls.providers.quotas.errors import QuotaInputError
from prodsprints.controls.providers.quotas.exhaustion import bucket_empty_seconds
from prodsprints.controls.providers.quotas.forecast import (
    Forecast,
    Outlook,
    Sample,
    forecast,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def daily(values: list[float], *, end: datetime = NOW) -> list[Sample]:
    return [Sample(end - back * DAY, value) for back, value in enumerate(reversed(values))]


def noises(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311


def moments(found: Forecast) -> list[datetime]:
    return [one for one in (found.earliest, found.reaches, found.latest) if one]


def test_a_straight_ramp_reaches_its_limit_on_the_day_that_arithmetic_says() -> None:
    found = forecast(daily([float(day) for day in range(40)]), 50.0, NOW)
    assert found.outlook is Outlook.REACHES
    assert found.reaches == datetime(2026, 12, 10, tzinfo=UTC)  # 39 today, one a day
    assert found.per_day == pytest.approx(1.0)
    assert found.seconds_left(NOW) == pytest.approx((datetime(2026, 12, 10, tzinfo=UTC) - NOW).total_seconds())


def test_three_outliers_in_ten_do_not_move_the_day() -> None:
    values = [float(day) for day in range(40)]
    for spoilt in range(0, 40, 7):
        values[spoilt] *= 0.1
    found = forecast(daily(values), 50.0, NOW)
    assert found.reaches is not None
    assert abs(found.reaches - datetime(2026, 12, 10, tzinfo=UTC)) <= DAY


@pytest.mark.parametrize(
    "values",
    [
        [60.0] * 60,
        [10.0 + 10 * (day % 6) for day in range(60)],  # a sawtooth up to 60
        [50.0 + (day % 2) for day in range(60)],
        [80.0 - 0.5 * day for day in range(60)],
        [0.0] * 60,
    ],
    ids=["flat", "sawtooth", "flicker", "falling", "nothing"],
)
def test_what_does_not_grow_reaches_no_limit(values: list[float]) -> None:
    found = forecast(daily(values), 100.0, NOW)
    assert (found.outlook, found.reaches) == (Outlook.STEADY, None)


@pytest.mark.parametrize("seed", range(30))
def test_noise_alone_is_hardly_ever_taken_for_growth(seed: int) -> None:
    noise = noises(seed)
    found = forecast(daily([noise.gauss(60, 5) for _ in range(60)]), 100.0, NOW)
    assert found.reaches is None or found.reaches > NOW + 30 * DAY


def test_a_ramp_with_weekends_is_foreseen_with_the_weekday_on_which_it_peaks() -> None:
    values = [40.0 + 0.5 * day + (20 if (NOW - (55 - day) * DAY).weekday() == 2 else 0) for day in range(56)]
    found = forecast(daily(values), 100.0, NOW)
    assert found.reaches is not None
    assert found.reaches.weekday() == 2  # Wednesdays
    true = next(
        NOW + ahead * DAY
        for ahead in range(1, 200)
        if 40.0 + 0.5 * (55 + ahead) + (20 if (NOW + ahead * DAY).weekday() == 2 else 0) >= 100
    )
    assert abs(found.reaches - true) <= 7 * DAY


def test_the_band_holds_the_true_day_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        noise = noises(seed)
        found = forecast(daily([20 + day + noise.gauss(0, 4) for day in range(60)]), 95.0, NOW)
        true = datetime(2026, 12, 15, tzinfo=UTC)
        held += bool(found.earliest and found.earliest <= true and (found.latest is None or true <= found.latest))
    assert held >= 70


@pytest.mark.parametrize("count", [0, 1, 2, 6])
def test_too_few_days_are_not_enough_data(count: int) -> None:
    found = forecast(daily([float(day) for day in range(count)]), 50.0, NOW)
    assert found.outlook is Outlook.UNKNOWN
    assert found.reaches is None and found.middle is None


def test_what_was_not_measured_for_long_is_unknown() -> None:
    assert forecast(daily([float(day) for day in range(40)], end=NOW - 20 * DAY), 50.0, NOW).outlook is Outlook.UNKNOWN


def test_a_young_quota_is_foreseen_by_the_hour() -> None:
    samples = [Sample(NOW - timedelta(hours=back), 40.0 - back) for back in range(30)]
    found = forecast(samples, 50.0, NOW)
    assert found.outlook is Outlook.REACHES
    assert found.reaches == NOW + timedelta(hours=10)


def test_nobody_looks_further_ahead_than_three_times_what_was_seen() -> None:
    found = forecast(daily([float(day) for day in range(10)]), 1_000.0, NOW)
    assert found.outlook is Outlook.STEADY
    assert found.horizon == datetime(2026, 11, 29, tzinfo=UTC) + 27 * DAY


@pytest.mark.parametrize("used", [100.0, 101.0, 500.0])
def test_a_limit_at_or_below_the_use_is_reached_also_when_a_provider_lies(used: float) -> None:
    for samples in (daily([used]), daily([10.0] * 30 + [used])):
        found = forecast(samples, 100.0, NOW)
        assert (found.outlook, found.reaches, found.seconds_left(NOW)) == (Outlook.REACHED, NOW, 0.0)


@pytest.mark.parametrize("limit", [0.0, -1.0, nan, inf, -inf, 1e300])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(QuotaInputError, match="limit"):
        forecast(daily([1.0] * 10), limit, NOW)


@pytest.mark.parametrize("used", [-1.0, nan, inf, 1e300])
def test_a_use_that_is_none_is_refused(used: float) -> None:
    with pytest.raises(QuotaInputError, match="use"):
        forecast(daily([1.0] * 10 + [used]), 50.0, NOW)


series = st.lists(
    st.tuples(st.integers(0, 120 * 24), st.floats(0, 1048576, allow_nan=False, width=32, allow_subnormal=False)),
    min_size=0,
    max_size=60,
).map(lambda points: [Sample(NOW - timedelta(hours=back), used) for back, used in points])
limits = st.floats(0.001953125, 1048576, allow_nan=False, width=32)


@given(series, limits)
@settings(max_examples=150)
def test_nothing_but_finite_numbers_and_days_in_order_reach_a_user(samples: list[Sample], limit: float) -> None:
    found = forecast(samples, limit, NOW)
    assert all(isfinite(each) for each in (found.per_day, found.limit, found.needed_at(NOW + 90 * DAY)))
    assert all(earlier <= later for earlier, later in pairwise(moments(found)))
    assert all(one >= NOW for one in moments(found))
    assert (found.reaches is not None) == (found.outlook in {Outlook.REACHES, Outlook.REACHED})


@given(series, limits, st.randoms())
@settings(max_examples=60)
def test_order_and_repetition_of_samples_are_no_matter(samples: list[Sample], limit: float, rng: random.Random) -> None:
    by_hour = {one.at: one for one in samples}  # of one moment with two values the order may matter to "now"
    once = list(by_hour.values())
    shuffled = once * 2
    rng.shuffle(shuffled)
    assert forecast(shuffled, limit, NOW) == forecast(once, limit, NOW)


@given(series, limits, st.sampled_from([0.25, 0.5, 2.0, 64.0]))
@settings(max_examples=60)
def test_days_do_not_depend_on_the_unit(samples: list[Sample], limit: float, scale: float) -> None:
    scaled = [Sample(one.at, one.used * scale) for one in samples]
    assert moments(forecast(scaled, limit * scale, NOW)) == moments(forecast(samples, limit, NOW))


@given(series, limits, st.floats(1.0, 4.0, width=32))
@settings(max_examples=60)
def test_a_higher_limit_is_reached_no_sooner(samples: list[Sample], limit: float, more: float) -> None:
    lower, higher = forecast(samples, limit, NOW), forecast(samples, limit * more, NOW)
    if higher.reaches is not None:
        assert lower.reaches is not None and lower.reaches <= higher.reaches


@given(series, limits)
@settings(max_examples=40)
def test_what_is_yet_to_come_is_not_looked_at(samples: list[Sample], limit: float) -> None:
    to_come = [Sample(NOW + timedelta(hours=3), limit * 2)]
    assert forecast([*samples, *to_come], limit, NOW) == forecast(samples, limit, NOW)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.001, 1e6))
def test_a_bucket_runs_empty_only_when_more_is_drawn_than_flows_in(tokens: float, used: float, limit: float) -> None:
    seconds = bucket_empty_seconds(tokens, used, limit)
    assert (seconds is None) or (used > limit and seconds >= 0 and isfinite(seconds))


def test_a_bucket_is_empty_when_arithmetic_says() -> None:
    assert bucket_empty_seconds(100, 30, 20) == 10
    assert bucket_empty_seconds(100, 20, 20) is None
    with pytest.raises(QuotaInputError):
        bucket_empty_seconds(nan, 1, 1)
