"""When drills are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from prodsprints.drills.schedule import Slot, due

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SLOTS = [Slot(UUID(int=1), f"R001.{number}", "v", "demo") for number in range(1, 51)]


def test_the_first_runs_are_spread_over_a_fifth_of_the_interval() -> None:
    early = due(SLOTS, {}, SINCE + DAY * 0.02, since=SINCE)
    assert 0 < len(early) < len(SLOTS) / 3
    assert set(due(SLOTS, {}, SINCE + DAY * 0.2, since=SINCE)) == set(SLOTS)
    assert due(SLOTS, {}, SINCE - DAY, since=SINCE) == ()


def test_what_once_ran_together_drifts_apart() -> None:
    last = dict.fromkeys(SLOTS, SINCE)
    assert due(SLOTS, last, SINCE + DAY * 0.79, since=SINCE) == ()
    halfway = due(SLOTS, last, SINCE + DAY * 0.9, since=SINCE)
    assert 10 < len(halfway) < 40
    assert set(due(SLOTS, last, SINCE + DAY, since=SINCE)) == set(SLOTS)


@given(st.integers(0, 10**9), st.integers(0, 10**7))
def test_a_run_is_never_late_and_never_much_too_early(last: int, waited: int) -> None:
    slot = SLOTS[0]
    moment = SINCE + timedelta(seconds=last)
    found = due([slot], {slot: moment}, moment + timedelta(seconds=waited), since=SINCE)
    if waited >= 86_400:
        assert found == (slot,)
    if waited < 0.8 * 86_400 - 1:
        assert found == ()


def test_the_longest_overdue_comes_first() -> None:
    last = {slot: SINCE - DAY * number for number, slot in enumerate(SLOTS)}
    found = due(SLOTS, last, SINCE + DAY, since=SINCE)
    assert found[0] == SLOTS[-1]
