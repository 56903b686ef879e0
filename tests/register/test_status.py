"""Status: how a row becomes green, what takes it back, and that the worst of its parts is its own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.register.model import Kind, Mitigation
from prodsprints.register.register import Register
from prodsprints.register.status import RowStatus, Status, status_of
from register.support_log import BEGIN, DAY, HOUR, Log, attestation, drill, incident, sha

STORM = {"storm": sha("a")}


@pytest.fixture
def row(register: Register) -> Mitigation:
    return replace(register.row("R001.1"), control="prodsprints.guard:Guard", drills=("x:y",), lacks=())


def look(
    row: Mitigation,
    log: Log,
    now: datetime = BEGIN + HOUR,
    *,
    digests: Mapping[str, str] = STORM,
    environment: str = "demo",
) -> RowStatus:
    standing = log.standing
    incidents = standing.contradicting(environment)
    return status_of(row, standing.row(environment, row.id), incidents, digests, environment, now)


def passes(log: Log, count: int, *, begin: datetime = BEGIN, apart: timedelta = DAY, **said: Any) -> Log:
    for number in range(count):
        log.drill(at=begin + number * apart, **said)
    return log


def test_a_row_without_control_or_drill_is_unproven_and_says_what_it_lacks(register: Register) -> None:
    nothing = look(replace(register.row("R001.1"), control=None, drills=()), Log(), digests={})
    assert (nothing.status, nothing.reason) == (Status.UNPROVEN, "It has no control and no drill yet.")


def test_a_row_that_was_never_drilled_is_unproven(row: Mitigation) -> None:
    assert look(row, Log()).status is Status.UNPROVEN


def test_one_drill_that_held_proves_it_and_says_against_what(row: Mitigation) -> None:
    proven = look(row, Log().drill())
    assert proven.status is Status.PROVEN
    assert (proven.evidence, proven.peer_class, proven.reason) == (0, "double", "storm held, against a double.")
    assert proven.age_seconds(BEGIN + HOUR) == 3600


def test_what_held_elsewhere_proves_nothing_here(row: Mitigation) -> None:
    log = Log().drill(environment="demo")
    assert look(row, log, environment="production").status is Status.UNPROVEN


def test_outside_of_scratch_a_drill_counts_with_the_scratch_placebo_of_the_same_control(row: Mitigation) -> None:
    there = {"environment": "production"}

    def found(log: Log) -> Status:
        return look(row, log, environment="production").status

    assert found(Log().drill().drill(**there, placebo_of=0)) is Status.PROVEN
    assert found(Log().drill().drill("failed", **there, placebo_of=0)) is Status.FAILING
    assert found(Log().drill().drill(**there)) is Status.INVALID, "links none"
    assert found(Log().drill(digest="b").drill(**there, placebo_of=0)) is Status.INVALID, "of another digest"
    assert found(Log().drill("invalid").drill(**there, placebo_of=0)) is Status.INVALID, "the placebo held"
    assert found(Log().drill().drill(**there, placebo_of=1)) is Status.INVALID, "not before it"


def test_every_drill_of_a_row_has_to_hold(row: Mitigation) -> None:
    log = Log().drill()
    both = {"storm": sha("a"), "hang": sha("b")}
    assert look(row, log, digests=both).status is Status.UNPROVEN
    assert look(row, log.drill(variant="hang", digest="b"), digests=both).status is Status.PROVEN


def test_evidence_is_stale_from_the_moment_it_is_as_old_as_the_row_allows(row: Mitigation) -> None:
    log = Log().drill()
    until = BEGIN + 7 * DAY
    assert look(row, log, until - timedelta(seconds=1)).status is Status.PROVEN
    assert look(row, log).until == until
    assert look(row, log, until).status is Status.STALE
    assert look(replace(row, max_age_days=8), log, until).status is Status.PROVEN


def test_evidence_that_came_late_into_the_log_is_as_old_as_its_drill(row: Mitigation) -> None:
    log = Log().add(drill(at=BEGIN), BEGIN + 8 * DAY)
    assert look(row, log, BEGIN + 8 * DAY).status is Status.STALE


def test_a_changed_control_is_stale_until_it_is_drilled(row: Mitigation) -> None:
    log = Log().drill()
    changed = {"storm": sha("b")}
    assert look(row, log, digests=changed).status is Status.STALE
    assert look(row, log.drill(digest="b"), digests=changed).status is Status.PROVEN


def test_a_failure_is_over_only_after_three_passes(row: Mitigation) -> None:
    log = Log().drill().drill("failed")
    seen = [look(row, log).status] + [look(row, log.drill()).status for _ in range(3)]
    assert seen == [Status.FAILING, Status.FAILING, Status.FAILING, Status.PROVEN]


def test_a_failure_survives_a_new_digest_until_three_passes(row: Mitigation) -> None:
    log = Log().drill("failed")
    changed = {"storm": sha("b")}
    assert look(row, log, digests=changed).status is Status.FAILING
    passes(log, 2, digest="b", apart=HOUR)
    assert look(row, log, digests=changed).status is Status.FAILING
    assert look(row, log.drill(digest="b"), digests=changed).status is Status.PROVEN


def test_who_changes_the_control_in_between_begins_the_three_passes_again(row: Mitigation) -> None:
    log = passes(Log().drill("failed"), 2, digest="b", apart=HOUR)
    changed = {"storm": sha("c")}
    assert look(row, log.drill(digest="c"), digests=changed).status is Status.FAILING
    assert look(row, passes(log, 2, digest="c", apart=HOUR), digests=changed).status is Status.PROVEN


def test_a_repaired_control_is_credited_again_only_after_passes_on_three_days(row: Mitigation) -> None:
    log = passes(Log().drill("failed"), 40, begin=BEGIN + HOUR, apart=timedelta(minutes=1))
    repaired = look(row, log, BEGIN + 2 * HOUR)
    assert (repaired.status, repaired.effectiveness) == (Status.PROVEN, 0)
    passes(log, 2, begin=BEGIN + DAY)
    assert look(row, log, BEGIN + 2 * DAY).effectiveness > 0


def test_a_failing_drill_does_not_go_away_by_being_taken_off_the_list(row: Mitigation) -> None:
    log = Log().drill("failed", variant="hang").drill()
    assert look(row, log).status is Status.FAILING
    assert look(row, passes(log, 2, apart=HOUR)).status is Status.PROVEN


def test_a_placebo_that_held_makes_the_row_invalid_until_the_next_verdict(row: Mitigation) -> None:
    log = Log().drill().drill("invalid")
    assert look(row, log).status is Status.INVALID
    assert "placebo" in look(row, log).reason
    assert look(row, log.drill()).status is Status.PROVEN


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "splendid"},
        {"outcome": "failed", "made": "held"},
        {"peers": []},
        {"peers": [{"name": "x", "class": "mock"}]},
        {"finished_at": "yesterday"},
        {"finished_at": "2026-11-02T12:00:00"},
        {"experiment": "abc"},
        {"nonce": ""},
        {"row": "R001.2"},
    ],
)
def test_evidence_that_does_not_add_up_makes_the_row_invalid(row: Mitigation, changes: dict[str, Any]) -> None:
    said = drill("held")
    inner = {**said.predicate["drill"], **{key: value for key, value in changes.items() if key != "made"}}
    broken = replace(said, predicate={**said.predicate, "drill": inner})
    assert look(row, Log().drill().add(broken)).status is Status.INVALID


def test_a_held_drill_with_a_failed_test_is_invalid(row: Mitigation) -> None:
    said = drill("held")
    assert (
        look(row, Log().add(replace(said, predicate={**said.predicate, "failedTests": ["x"]}))).status is Status.INVALID
    )


def test_an_attestation_counts_until_it_expires(register: Register) -> None:
    row = register.row("S001.5")
    assert row.kind is Kind.ATTESTATION
    log = Log().add(attestation(expires=BEGIN + DAY))
    assert look(row, Log()).status is Status.UNPROVEN
    assert look(row, log).status is Status.ATTESTED
    assert look(row, log).until == BEGIN + DAY
    expired = look(row, log, BEGIN + DAY)
    assert (expired.status, expired.attestation_expired) == (Status.STALE, True)


def test_a_signature_is_worth_no_reduction_of_the_rate(register: Register) -> None:
    assert look(register.row("S001.5"), Log().add(attestation())).effectiveness == 0


def test_a_row_of_both_kinds_needs_both(register: Register) -> None:
    row = replace(register.row("R001.5"), control="a:b", drills=("x:y",), lacks=())
    drilled, signed = drill(row=row.id), attestation(row.id)
    assert look(row, Log().add(drilled)).status is Status.UNPROVEN
    assert look(row, Log().add(signed)).status is Status.UNPROVEN
    assert look(row, Log().add(signed).add(drilled)).status is Status.ATTESTED


def test_an_incident_contradicts_every_row_of_its_risk_or_the_rows_it_names(
    register: Register, row: Mitigation
) -> None:
    log = Log().drill().add(incident("declared"))
    assert look(row, log).status is Status.CONTRADICTED
    assert look(register.row("R001.2"), log, digests={}).status is Status.CONTRADICTED
    assert look(register.row("R002.1"), log, digests={}).status is Status.UNPROVEN
    named = Log().drill().add(incident("declared", rows=["R001.2"]))
    assert look(row, named).status is Status.PROVEN


def test_closing_an_incident_does_not_lift_the_contradiction(row: Mitigation) -> None:
    log = Log().drill().add(incident("declared")).add(incident("closed")).drill()
    assert look(row, log).status is Status.CONTRADICTED


def test_only_a_changed_and_linked_experiment_that_holds_afterwards_lifts_it(row: Mitigation) -> None:
    log = Log().drill(experiment="old").add(incident("declared"))
    assert look(row, log.drill(experiment="new")).status is Status.CONTRADICTED, "not linked"
    log.add(incident("linked", variant="storm"))
    assert look(row, log).status is Status.CONTRADICTED, "held before it was linked"
    assert look(row, log.drill(experiment="old")).status is Status.CONTRADICTED, "not changed"
    assert (
        look(row, log.drill(experiment="new", environment="production", placebo_of=0)).status is Status.CONTRADICTED
    ), "elsewhere"
    assert look(row, log.drill("failed", experiment="new")).status is Status.CONTRADICTED, "failed"
    log.drill(experiment="new")
    assert look(row, log).status is Status.FAILING
    assert not log.standing.contradicting("demo")


def test_an_experiment_that_was_run_long_before_is_no_changed_one(row: Mitigation) -> None:
    log = Log().drill(experiment="first").drill(experiment="second").add(incident("declared"))
    log.add(incident("linked", variant="storm")).drill(experiment="first")
    assert look(row, log).status is Status.CONTRADICTED


def test_a_placebo_that_has_held_since_speaks_for_nothing_elsewhere(row: Mitigation) -> None:
    log = Log().drill().drill("invalid").drill(environment="production", placebo_of=0)
    assert look(row, log, environment="production").status is Status.INVALID


def test_a_clock_that_goes_backwards_cannot_make_a_failure_good(row: Mitigation) -> None:
    log = Log().drill("failed", at=BEGIN)
    passes(log, 5, begin=BEGIN - DAY, apart=HOUR)
    assert look(row, log).status is Status.FAILING


def test_drills_that_cannot_be_imported_prove_nothing_any_more(row: Mitigation) -> None:
    assert look(row, Log(), digests={}).status is Status.UNPROVEN
    assert look(row, Log().drill(), digests={}).status is Status.STALE
    assert look(row, Log().drill("failed"), digests={}).status is Status.FAILING


# --- what always holds ------------------------------------------------------------------------------------------------

outcomes = st.lists(st.tuples(st.sampled_from(["held", "held", "failed", "invalid"]), st.integers(0, 5)), max_size=12)


def history(steps: list[tuple[str, int]]) -> Log:
    log = Log()
    for number, (outcome, days) in enumerate(itertools.accumulate(steps, lambda a, b: (b[0], a[1] + b[1]))):
        log.drill(outcome, at=BEGIN + days * DAY + number * timedelta(minutes=1))
    return log


def effect(row: Mitigation, log: Log) -> float:
    last = max((entry.at for entry in log.entries), default=BEGIN)
    return look(row, log, last + timedelta(seconds=1)).effectiveness


@given(outcomes, st.integers(2, 100))
def test_running_a_drill_many_times_in_a_day_is_worth_no_more_than_once(
    register: Register, steps: list[tuple[str, int]], times: int
) -> None:
    row = replace(register.row("R001.1"), control="a:b", drills=("x:y",), lacks=())
    day = BEGIN + 100 * DAY
    once = history(steps).drill(at=day)
    often = passes(history(steps), times, begin=day, apart=timedelta(minutes=5))
    assert effect(row, once) == effect(row, often)


@given(outcomes, st.integers(0, 12), st.sampled_from(["failed", "invalid"]))
def test_another_failure_never_raises_what_a_row_is_worth(
    register: Register, steps: list[tuple[str, int]], place: int, outcome: str
) -> None:
    row = replace(register.row("R001.1"), control="a:b", drills=("x:y",), lacks=())
    worse = [*steps[:place], (outcome, 0), *steps[place:]]
    assert effect(row, history(worse)) <= effect(row, history(steps))


@given(outcomes, st.integers(0, 12))
def test_another_pass_never_lowers_what_a_row_is_worth(
    register: Register, steps: list[tuple[str, int]], place: int
) -> None:
    row = replace(register.row("R001.1"), control="a:b", drills=("x:y",), lacks=())
    better = [*steps[:place], ("held", 0), *steps[place:]]
    assert effect(row, history(better)) >= effect(row, history(steps))


@given(outcomes)
def test_what_is_not_proven_is_worth_nothing(register: Register, steps: list[tuple[str, int]]) -> None:
    row = replace(register.row("R001.1"), control="a:b", drills=("x:y",), lacks=())
    found = look(row, history(steps), BEGIN + 200 * DAY)
    assert found.status is Status.PROVEN or found.effectiveness == 0


def test_the_statuses_are_in_order_worst_first() -> None:
    words = ["invalid", "contradicted", "failing", "unproven", "stale", "attested", "proven"]
    assert [str(status) for status in sorted(Status, key=lambda status: status.place)] == words


@given(st.permutations(list(Status)))
def test_the_order_is_total(statuses: list[Status]) -> None:
    assert sorted(statuses, key=lambda status: status.place) == list(Status)
