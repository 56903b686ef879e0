"""What processes see of a provider, written down, read back, and put together."""

from __future__ import annotations

import contextlib
import json
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controls.providers.support_sightings import World, posted, shared
from prodsprints.controls.providers.dependencies.dependency import dependencies
from prodsprints.controls.providers.dependencies.recorder import Recorder
from prodsprints.controls.providers.dependencies.sighting import SLOTS, Slot, as_json, from_json
from prodsprints.guard import Circuit, Guard, Key, KeyPool, Outcome

HISTORY = st.lists(
    st.tuples(st.lists(st.sampled_from(["answer", "answer", "failure", "throttled"]), max_size=6), st.floats(0, 40)),
    max_size=12,
)


@settings(max_examples=40)
@given(HISTORY)
def test_what_is_written_down_reads_back(history: list[tuple[list[str], float]]) -> None:
    world = World()
    for ends, pause in history:
        world.call(ends)
        world.clock.seconds += pause
        seen = world.look()
        body = json.loads(json.dumps(as_json(seen), allow_nan=False))
        back = from_json("github", body)
        assert json.loads(json.dumps(as_json(back))) == body
        assert back.snapshot.count(Outcome.SUCCEEDED) == seen.snapshot.count(Outcome.SUCCEEDED)
        assert back.slots == seen.slots
        assert "sesame" not in json.dumps(body)


@settings(max_examples=40)
@given(HISTORY)
def test_slots_hold_every_attempt_of_the_last_five_minutes_once(history: list[tuple[list[str], float]]) -> None:
    world = World()
    for ends, pause in history:
        world.call(ends)
        world.clock.seconds += pause
        seen = world.look()
        assert len(seen.slots) <= SLOTS
        assert all(min(slot.attempts, slot.failed, slot.throttled, slot.rejected) >= 0 for slot in seen.slots)
        everything = sum(durations.calls for durations in seen.snapshot.attempts.values())
        assert sum(slot.attempts for slot in seen.slots) == seen.recent.calls <= everything
        if world.clock.seconds < 1000 + 290:
            assert seen.recent.calls == everything


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": 2},
        {"circuit": "ajar"},
        {"calls": {"exploded": {"counts": [1], "seconds": 1}}},
        {"calls": {"failed": {"counts": [1], "seconds": 1}}},
        {"slots": [[1, 2, 3]]},
        {"slots": [[1, 0, 0, 0, 9]]},
        {"slots": None},
        {"quotas": [{"scope": "x"}]},
        {"bounds": "x"},
        {"trips": None},
    ],
)
def test_what_another_version_wrote_is_refused_in_one_way(damage: dict[str, Any]) -> None:
    body = as_json(World().look())
    with pytest.raises(ValueError, match=r".*"):
        from_json("github", {**body, **damage})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(sorted(as_json(World().look()))), JSON)
def test_no_row_makes_a_reader_fail_otherwise(member: str, value: Any) -> None:
    body = {**as_json(World().look()), member: value}
    with contextlib.suppress(ValueError):
        from_json("github", body)


def test_a_sighting_stays_small_however_many_keys_there_are() -> None:
    keys = [Key(f"{number}-{'k' * 300}", scope=f"{number % 50}-{'s' * 300}") for number in range(2000)]
    guard = Guard("g" * 200, keys=KeyPool(keys))
    recorder = Recorder()
    for now in range(0, 600, 2):
        (seen,) = recorder.look([guard.snapshot()], float(now))
    assert len(json.dumps(as_json(seen))) < 100_000
    guard = Guard("typical", keys=KeyPool([Key("a"), Key("b"), Key("c")]))
    recorder = Recorder()
    for now in range(0, 600, 2):
        guard(lambda: None)()
        (seen,) = recorder.look([guard.snapshot()], float(now))
    assert len(json.dumps(as_json(seen))) < 5_000


def test_two_processes_are_one_provider() -> None:
    one, other = World(), World()
    one.call(["answer"] * 30)
    other.call(["failure"] * 3 + ["answer"] * 2)
    (github,) = dependencies([posted(one.look()), posted(other.look(), "w-2")])
    assert github.circuit is Circuit.OPEN
    assert github.is_fresh
    assert [process.circuit for process in github.processes] == [Circuit.CLOSED, Circuit.OPEN]
    assert github.outcomes == {Outcome.SUCCEEDED: 30, Outcome.FAILED: 3, Outcome.CIRCUIT_OPEN: 2}
    assert github.attempts == {Outcome.SUCCEEDED: 30, Outcome.FAILED: 3}
    assert github.rejections == {Outcome.CIRCUIT_OPEN: 2}
    assert github.limit == 2000
    assert github.seconds(0.95) == 0.25
    assert github.rate > 5
    assert github.trips == 1
    assert len(github.trips_seconds_ago) == 1
    assert github.rate_limit == 80  # two scopes, a bucket of each in either process


def test_a_bucket_of_the_fleet_is_one_and_counts_once() -> None:
    one, other = World(), World()
    other.call(["answer"] * 10, seconds=0)
    (github,) = dependencies([posted(shared(one.look())), posted(shared(other.look()), "w-2")])
    assert github.rate_limit == 40
    assert [scope.burst for scope in github.scopes] == [100, 100]
    assert github.scopes[0].remaining == pytest.approx(90)


def test_what_is_frozen_thaws_while_nobody_tells() -> None:
    world = World()
    world.call(["throttled"])
    (github,) = dependencies([posted(shared(world.look()), age=4)])
    (scope,) = github.frozen
    assert scope.keys == ("main",)
    assert scope.frozen_seconds == pytest.approx(26, abs=0.2)
    (github,) = dependencies([posted(shared(world.look()), age=31)])
    assert github.frozen == ()


def test_who_is_not_heard_of_has_no_say_in_what_is_now() -> None:
    gone, here = World(), World()
    gone.call(["failure"] * 3)
    here.call(["answer"])
    (github,) = dependencies([posted(gone.look(), "gone", age=40), posted(here.look(), "here")])
    assert github.circuit is Circuit.CLOSED
    assert github.outcomes[Outcome.FAILED] == 3  # what was counted stays counted
    assert [(one.worker, one.is_fresh) for one in github.processes] == [("here", True), ("gone", False)]
    (alone,) = dependencies([posted(gone.look(), "gone", age=40)])
    assert (alone.circuit, alone.is_fresh, alone.heard_seconds_ago) == (Circuit.OPEN, False, 40)
    assert (alone.rate, alone.in_flight) == (0, 0)


def test_those_in_trouble_come_first() -> None:
    fine, throttled, broken = World("fine"), World("throttled"), World("zzz")
    throttled.call(["throttled"])
    broken.call(["failure"] * 3)
    found = dependencies([posted(world.look()) for world in (fine, throttled, broken)])
    assert [one.name for one in found] == ["zzz", "throttled", "fine"]


def test_the_timeline_puts_processes_beside_each_other_by_when_they_were_heard_of() -> None:
    one, other = World(), World()
    one.call(["answer"] * 2, seconds=0)
    other.call(["answer"] * 3, seconds=0)
    (github,) = dependencies([posted(one.look(), age=0.5), posted(other.look(), "w-2", age=9)])
    assert github.slots[0] == Slot(attempts=2)
    assert github.slots[2] == Slot(attempts=3)
    assert github.slots[1] is None
    assert len(github.slots) == SLOTS


def test_nobody_is_nobody() -> None:
    assert dependencies([]) == []


def test_a_limit_that_is_none_survives() -> None:
    seen = World().look()
    body = as_json(seen) | {"limit": None}
    assert from_json("github", body).snapshot.limit == inf
