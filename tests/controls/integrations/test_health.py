"""How a service is: one look decides nothing, two do, and time in which nobody looked is never counted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.controls.integrations import pace, uptime
from prodsprints.controls.integrations.health import Level, Observation, Outcome, Span, Standing, fold, shown
from prodsprints.controls.integrations.sightings import by_day

BEGAN = datetime(2026, 1, 1, 23, 59, tzinfo=UTC)
GAP = 60.0
WELL, SLOW, FAILED = Outcome.WELL, Outcome.SLOW, Outcome.FAILED

outcomes = st.lists(st.sampled_from(list(Outcome)), max_size=30)
# steps between looks: also backwards, also longer than the gap
steps = st.floats(-100, 200, allow_nan=False)
looks = st.lists(st.tuples(st.sampled_from(list(Outcome)), steps, st.booleans()), max_size=40)


def after(seen: list[Outcome], standing: Standing | None = None) -> Standing:
    standing = standing or Standing()
    at = standing.seen_at or BEGAN
    for outcome in seen:
        at += timedelta(seconds=10)
        standing = fold(standing, Observation(at, outcome), longest_gap_seconds=GAP).standing
    return standing


@pytest.mark.parametrize(
    ("seen", "level"),
    [
        ([], Level.UNKNOWN),
        ([WELL], Level.UP),
        ([FAILED], Level.UNKNOWN),
        ([SLOW], Level.UNKNOWN),
        ([FAILED, WELL], Level.UP),
        ([FAILED, FAILED], Level.DOWN),
        ([SLOW, SLOW], Level.DEGRADED),
        ([WELL, FAILED], Level.UP),
        ([WELL, SLOW], Level.UP),
        ([WELL, FAILED, FAILED], Level.DOWN),
        ([WELL, SLOW, SLOW], Level.DEGRADED),
        ([WELL, FAILED, WELL, FAILED], Level.DEGRADED),
        ([WELL, FAILED, WELL, WELL, WELL, WELL, FAILED], Level.UP),
        ([FAILED, FAILED, WELL], Level.DOWN),
        ([FAILED, FAILED, WELL, WELL], Level.UP),
        ([FAILED, FAILED, SLOW, WELL], Level.DEGRADED),
        ([SLOW, SLOW, WELL, WELL], Level.DEGRADED),
        ([SLOW, SLOW, WELL, WELL, WELL], Level.UP),
        ([FAILED, FAILED, WELL, WELL, FAILED], Level.UP),
    ],
)
def test_a_level_is_what_the_looks_add_up_to(seen: list[Outcome], level: Level) -> None:
    assert after(seen).level is level


@given(outcomes)
def test_two_failures_in_a_row_are_down_whatever_was_before(seen: list[Outcome]) -> None:
    assert after([*seen, FAILED, FAILED]).level is Level.DOWN


@given(outcomes)
def test_one_failure_never_takes_a_service_down(seen: list[Outcome]) -> None:
    before = after(seen)
    now = after([FAILED], before)
    if before.level is not Level.DOWN and seen[-1:] != [FAILED]:
        assert now.level is not Level.DOWN
    assert not now.is_settled or now.level is Level.DOWN


@given(outcomes)
def test_good_looks_bring_every_service_back(seen: list[Outcome]) -> None:
    back = after([*seen, WELL, WELL, WELL])
    assert back.level is Level.UP and back.trouble is None


@given(outcomes)
def test_a_trouble_is_there_just_while_the_level_says_so(seen: list[Outcome]) -> None:
    standing = after(seen)
    assert (standing.trouble is not None) == (standing.level in {Level.DEGRADED, Level.DOWN})


@given(looks)
def test_every_second_is_counted_at_most_once_and_outages_last_as_long_as_what_is_counted(
    seen: list[tuple[Outcome, float, bool]],
) -> None:
    standing, at, newest, spans, troubles = Standing(), BEGAN, BEGAN, [], timedelta()
    for outcome, step, settled in seen:
        at += timedelta(seconds=step)
        before = standing
        folded = fold(standing, Observation(at, outcome, settled=settled), longest_gap_seconds=GAP)
        standing = folded.standing
        newest = max(newest, at)
        if folded.span is not None:
            assert folded.span.start < folded.span.end <= newest
            assert folded.span.end - folded.span.start <= timedelta(seconds=GAP)
            assert not spans or spans[-1].end <= folded.span.start
            spans.append(folded.span)
        if folded.ended is not None:
            assert before.trouble is not None
            troubles += folded.ended.at - folded.ended.trouble.began_at
        assert len(standing.recent) <= 5
        assert before.seen_at is None or (standing.seen_at is not None and standing.seen_at >= before.seen_at)
    if standing.trouble is not None and standing.seen_at is not None:
        troubles += standing.seen_at - standing.trouble.began_at
    bad = sum((span.end - span.start for span in spans if span.level is not Level.UP), timedelta())
    assert abs((bad - troubles).total_seconds()) < 1e-3


def test_after_a_gap_nothing_is_counted_and_the_end_of_an_outage_is_not_known() -> None:
    down = after([WELL, FAILED, FAILED])
    assert down.seen_at is not None
    late = down.seen_at + timedelta(hours=3)
    folded = fold(down, Observation(late, WELL), longest_gap_seconds=GAP)
    assert folded.span is None
    assert folded.ended is not None
    assert (folded.ended.at, folded.ended.is_known) == (down.seen_at, False)
    assert folded.standing.level is Level.UP


def test_a_service_that_nobody_looks_at_any_more_is_unknown_and_not_up() -> None:
    standing = after([WELL])
    assert standing.seen_at is not None
    assert shown(standing, standing.seen_at + timedelta(seconds=GAP), longest_gap_seconds=GAP) is Level.UP
    assert shown(standing, standing.seen_at + timedelta(seconds=GAP + 1), longest_gap_seconds=GAP) is Level.UNKNOWN


def test_a_settled_look_decides_alone() -> None:
    folded = fold(
        after([WELL]), Observation(BEGAN + timedelta(seconds=20), FAILED, settled=True), longest_gap_seconds=GAP
    )
    assert folded.standing.level is Level.DOWN


@given(
    interval=st.floats(1, 3600),
    death=st.floats(0, 1),
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    hangs=st.booleans(),
    takes=st.floats(0, 0.5),
)
def test_a_death_is_known_within_one_interval(
    interval: float, death: float, shares: list[float], hangs: bool, takes: float
) -> None:
    """Played in time: looks as the pace has them, a death at any moment, which hangs or refuses."""
    share = iter(shares * 10)
    timeout = pace.timeout_seconds(interval)
    standing, now, died = after([WELL]), 0.0, interval * (1 + death)
    while standing.level is not Level.DOWN:
        now += pace.next_look_seconds(standing, interval, next(share))
        dead = now >= died
        now += (timeout if hangs else 0.0) if dead else takes * timeout
        seen = Observation(BEGAN + timedelta(seconds=10 + now), FAILED if dead else WELL)
        standing = fold(standing, seen, longest_gap_seconds=pace.longest_gap_seconds(interval)).standing
    assert now - died <= interval


@given(st.floats(0, 400_000), st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)))  # noqa: DTZ001
def test_a_span_is_split_at_midnight_and_nothing_of_it_is_lost(seconds: float, start: datetime) -> None:
    start = start.replace(tzinfo=UTC)
    span = Span(Level.UP, start, start + timedelta(seconds=seconds))
    parts = list(by_day(span))
    assert abs(sum(part for _, part in parts) - seconds) < 1e-3
    assert all(0 < part <= 86_400 for _, part in parts)
    assert [day for day, _ in parts] == sorted({day for day, _ in parts})


def test_days_that_nobody_measured_are_not_up() -> None:
    now = datetime(2026, 3, 31, 12, tzinfo=UTC)
    shown_days = uptime.days({date(2026, 3, 31): (1800.0, 0.0, 1800.0)}, now)
    assert len(shown_days) == 90
    assert (shown_days[0].day, shown_days[-1].day) == (date(2026, 1, 1), date(2026, 3, 31))
    assert shown_days[0].unmeasured_seconds == 86_400
    assert shown_days[-1].unmeasured_seconds == 43_200 - 3_600
    figures = uptime.uptime(shown_days)
    assert figures.available_percent == 50.0
    assert 0 < figures.measured_percent < 0.1


def test_without_a_measurement_there_is_no_figure() -> None:
    assert uptime.uptime(uptime.days({}, BEGAN)).available_percent is None


@pytest.mark.parametrize(("down", "shown_as"), [(0.0, 100.0), (0.001, 99.999), (864.0, 99.0), (86_400.0, 0.0)])
def test_a_hundred_percent_is_said_only_of_what_was_never_seen_down(down: float, shown_as: float) -> None:
    day = date(2026, 3, 30)
    known = {day: (86_400.0 - down, 0.0, down)}
    now = datetime(2026, 3, 31, tzinfo=UTC)
    figures = uptime.uptime([one for one in uptime.days(known, now) if one.day == day])
    assert figures.available_percent == pytest.approx(shown_as)
    assert figures.measured_percent == 100.0


@given(
    st.dictionaries(
        st.dates(date(2026, 1, 1), date(2026, 3, 31)), st.tuples(*[st.floats(0, 28_800, allow_nan=False)] * 3)
    )
)
def test_figures_stay_between_nothing_and_all(known: dict[date, tuple[float, float, float]]) -> None:
    figures = uptime.uptime(uptime.days(known, datetime(2026, 3, 31, 23, tzinfo=UTC)))
    assert 0 <= figures.measured_percent <= 100
    assert figures.available_percent is None or 0 <= figures.available_percent <= 100
    if any(down > 0 for _, _, down in known.values()):
        assert figures.available_percent is None or figures.available_percent < 100
