"""The verdict as a function of what two arms showed."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prodsprints.drills.arms import Ending, Group, Listening, Look, Played
from prodsprints.drills.experiment import Experiment, Peer, PeerClass, Probe, Safety, held
from prodsprints.drills.stage import Arm
from prodsprints.drills.verdict import Outcome, judge

AT = datetime(2026, 1, 2, tzinfo=UTC)


def _probe(name: str) -> Probe[Any, Any]:
    return Probe(name, lambda *_: held("yes"))


EXPERIMENT: Experiment[Any, Any] = Experiment(
    row="X001.1",
    variant="v",
    title="t",
    safety=Safety.SAFE,
    fault="f",
    sources=("json",),
    peers=(Peer("p", "1", PeerClass.ENGINE),),
    stand=lambda _: nullcontext(),
    treatment=lambda *_: nullcontext(),
    placebo=lambda *_: nullcontext(),
    steady=(_probe("calm"),),
    inject=lambda *_: nullcontext(),
    seen=_probe("seen"),
    probes=(_probe("first"), _probe("named")),
    named="named",
    after=(_probe("after"),),
)

GROUPS = {
    "calm": Group.STEADY,
    "first": Group.PROBES,
    "named": Group.PROBES,
    "seen": Group.SEEN,
    "after": Group.AFTER,
}


def _played(arm: Arm, *broke: str, ending: Ending = Ending.PLAYED, broken: str = "") -> Played:
    reached = ["calm"] if ending is Ending.UNSTEADY else [n for n in GROUPS if n != "after" or arm is Arm.TREATMENT]
    looks = tuple(Look(GROUPS[name], name, name not in broke, "words", 1.0, 0.1) for name in reached)
    return Played(arm, ending, AT, 2.0, looks, broken=broken)


def _judge(treatment: Played, placebo: Played | None, *outside: str) -> Outcome:
    return judge(EXPERIMENT, treatment, placebo, outside).outcome


FINE, BARE = _played(Arm.TREATMENT), _played(Arm.PLACEBO, "named")


def test_a_control_that_stands_what_the_bare_peer_does_not_held() -> None:
    assert _judge(FINE, BARE) is Outcome.HELD


def test_a_placebo_that_holds_its_named_probe_makes_the_drill_invalid_whatever_the_treatment_does() -> None:
    assert _judge(FINE, _played(Arm.PLACEBO, "first")) is Outcome.INVALID
    assert _judge(_played(Arm.TREATMENT, "named"), _played(Arm.PLACEBO)) is Outcome.INVALID


def test_any_probe_that_breaks_in_the_treatment_fails_it() -> None:
    for name in ("first", "named", "after"):
        assert _judge(_played(Arm.TREATMENT, name), BARE) is Outcome.FAILED


def test_code_outside_of_the_sources_fails_it() -> None:
    assert _judge(FINE, BARE, "x.py:1") is Outcome.FAILED


def test_a_broken_system_is_no_verdict_and_a_control_that_breaks_a_healthy_one_is() -> None:
    sick = _played(Arm.PLACEBO, "calm", ending=Ending.UNSTEADY)
    ours = _played(Arm.TREATMENT, "calm", ending=Ending.UNSTEADY)
    assert _judge(ours, sick) is Outcome.NONE
    assert _judge(FINE, sick) is Outcome.NONE
    assert _judge(ours, None) is Outcome.NONE
    assert _judge(ours, BARE) is Outcome.FAILED


def test_a_fault_that_nobody_saw_is_no_verdict() -> None:
    assert _judge(_played(Arm.TREATMENT, "seen", "named"), BARE) is Outcome.NONE
    assert _judge(FINE, _played(Arm.PLACEBO, "seen", "named")) is Outcome.NONE


def test_without_a_placebo_arm_only_the_treatment_is_asked() -> None:
    assert _judge(FINE, None) is Outcome.HELD
    assert _judge(_played(Arm.TREATMENT, "first"), None) is Outcome.FAILED


breaks = st.sets(st.sampled_from(sorted(GROUPS)))


@given(breaks, breaks, st.booleans(), st.booleans())
def test_whatever_is_broken_about_the_drill_is_never_held(
    ours: set[str], theirs: set[str], ours_broken: bool, theirs_broken: bool
) -> None:
    treatment = _played(Arm.TREATMENT, *ours, ending=Ending.BROKEN if ours_broken else Ending.PLAYED, broken="x")
    placebo = _played(Arm.PLACEBO, *theirs, ending=Ending.BROKEN if theirs_broken else Ending.PLAYED, broken="x")
    outcome = _judge(treatment, placebo)
    if ours_broken or theirs_broken:
        assert outcome is Outcome.NONE
    if outcome is Outcome.HELD:
        assert not ours & {"first", "named", "seen", "after"}
        assert "named" in theirs
        assert "seen" not in theirs


def test_a_process_that_ends_without_a_word_is_broken() -> None:
    arm = Listening(Arm.TREATMENT, AT)
    arm.take({"kind": "phase", "name": "stand", "at": 0.1})
    played = arm.played(seconds=1.0)
    assert played.ending is Ending.BROKEN
    assert "'stand'" in played.broken
