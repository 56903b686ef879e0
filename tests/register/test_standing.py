"""The fold: what the log comes to, whichever way it is cut; and what it does not listen to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.ledger.statement import PredicateType, Statement
from prodsprints.register.standing import Standing, fold
from register.support_log import (
    BEGIN,
    DAY,
    HOUR,
    TENANT,
    Log,
    acceptance,
    anything_said,
    attestation,
    drill,
    incident,
    sha,
)


def logged(statements: list[Statement]) -> Log:
    log = Log()
    for number, statement in enumerate(statements):
        log.add(statement, BEGIN + number * HOUR)
    return log


@given(st.lists(anything_said, max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_it_comes_to_the_same_wherever_it_is_cut(statements: list[Statement], a: int, b: int) -> None:
    entries = logged(statements).entries
    first, second = sorted((a, b))
    parts = fold(fold(fold(Standing(TENANT), entries[:first]), entries[first:second]), entries[second:])
    assert parts == fold(Standing(TENANT), entries)


@given(st.lists(anything_said, max_size=20), st.lists(anything_said, max_size=5))
def test_folding_changes_nothing_of_what_was_folded_before(before: list[Statement], after: list[Statement]) -> None:
    whole = logged([*before, *after])
    standing = fold(Standing(TENANT), whole.entries[: len(before)])
    fold(standing, whole.entries[len(before) :])
    assert standing == fold(Standing(TENANT), whole.entries[: len(before)])


@given(st.permutations(["R001.1", "R002.1", "S003.4", "O005.4"]))
def test_drills_of_different_rows_may_come_in_any_order(rows: list[str]) -> None:
    log = Log()
    for row in rows:
        log.drill(row=row)
    variants = {row: log.standing.row("demo", row).variants["storm"] for row in rows}
    assert {one.digest for one in variants.values()} == {sha("a")}
    assert all(one.tally(sha("a")).passes == 1 and one.owed_passes == 0 for one in variants.values())


@given(st.permutations([0, 1, 2, 3, 4]))
def test_passes_of_one_day_may_come_in_any_order(minutes: list[int]) -> None:
    log = Log()
    for minute in minutes:
        log.drill(at=BEGIN + timedelta(minutes=minute))
    (storm,) = log.standing.row("demo", "R001.1").variants.values()
    assert storm.tally(sha("a"))._replace(last_day=0).passes == 1
    assert storm.held is not None and storm.held.at == (BEGIN + timedelta(minutes=4)).timestamp()


def test_a_statement_of_another_tenant_counts_for_nothing_and_is_reported() -> None:
    standing = Log().add(drill(tenant="22222222-2222-4222-8222-222222222222")).standing
    assert not standing.rows
    assert [(one.index, one.why) for one in standing.ignored] == [(0, "it speaks for another tenant.")]


def test_a_drill_that_is_brought_up_again_counts_once_and_is_reported() -> None:
    once = drill("failed")
    standing = Log().add(once).add(once).standing
    assert standing.row("demo", "R001.1").variants["storm"].tally(sha("a")).failures == 1
    assert standing.ignored_count == 1


@pytest.mark.parametrize("signed", [attestation(), acceptance(), incident("declared")])
def test_what_a_person_signed_and_somebody_brings_up_again_is_reported(signed: Statement) -> None:
    standing = Log().add(signed).add(signed).standing
    assert [one.index for one in standing.ignored] == [1]


def test_an_acceptance_is_reopened_by_a_drill_of_its_risk_that_fails_afterwards() -> None:
    log = Log().drill("failed").add(acceptance())
    accepted = log.standing.acceptances["demo", "R001"]
    assert accepted.holds(BEGIN.timestamp())
    log.drill("failed", row="R002.1").drill("held", row="R001.2").drill("failed", environment="production")
    assert log.standing.acceptances["demo", "R001"].reopened is None
    log.drill("failed", row="R001.4")
    reopened = log.standing.acceptances["demo", "R001"]
    assert reopened.reopened is not None and reopened.reopened.index == 5
    assert not reopened.holds(BEGIN.timestamp())


def test_an_acceptance_that_is_brought_up_again_does_not_come_back() -> None:
    accepted = acceptance()
    log = Log().add(accepted).drill("failed").add(accepted)
    assert not log.standing.acceptances["demo", "R001"].holds(BEGIN.timestamp())


def test_a_new_acceptance_after_a_failure_holds() -> None:
    log = Log().add(acceptance()).drill("failed").add(acceptance())
    assert log.standing.acceptances["demo", "R001"].holds(BEGIN.timestamp())


def test_an_acceptance_ends_when_it_expires() -> None:
    accepted = Log().add(acceptance(expires=BEGIN + DAY)).standing.acceptances["demo", "R001"]
    assert not accepted.holds((BEGIN + DAY).timestamp())


@pytest.mark.parametrize(
    "said",
    [
        incident("linked", variant="storm"),
        incident("closed"),
        incident("declared", rows=["R002.1"]),
        incident("invented"),
        attestation("nonsense"),
        acceptance(expires_at="soon"),
    ],
)
def test_what_a_person_could_not_mean_is_ignored_and_reported(said: Statement) -> None:
    standing = Log().add(said).standing
    assert (standing.rows, standing.acceptances, standing.incidents) == ({}, {}, {})
    assert standing.ignored_count == 1


def test_an_incident_declared_twice_keeps_its_first_telling() -> None:
    log = Log().add(incident("declared", rows=["R001.1"])).add(incident("declared"))
    assert log.standing.incidents["i-1"].rows == ("R001.1",)


def test_evidence_without_an_environment_is_ignored_and_reported() -> None:
    nowhere = drill()
    inner = {key: value for key, value in nowhere.predicate["drill"].items() if key != "environment"}
    standing = Log().add(replace(nowhere, predicate={**nowhere.predicate, "drill": inner})).standing
    assert not standing.rows
    assert standing.ignored_count == 1


def test_only_the_newest_hundred_of_what_is_ignored_are_kept_and_all_are_counted() -> None:
    log = Log()
    for _ in range(150):
        log.add(incident("closed"))
    assert (len(log.standing.ignored), log.standing.ignored_count) == (100, 150)
    assert log.standing.ignored[-1].index == 149


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    st.sampled_from(["drill", "result", "row", "environment", "rows", "expires_at", "peers", "outcome", "nonce"]),
    st.sampled_from(list(PredicateType)),
)
def test_no_predicate_breaks_the_fold(value: object, key: str, kind: PredicateType) -> None:
    plain = drill().predicate
    inner = {**plain["drill"], "tenant": TENANT, key: value}
    statement = Statement(kind, drill().subjects, {**plain, **inner, "drill": inner, key: value})
    assert Log().add(statement).standing.size == 1


def test_a_row_remembers_the_last_entries_that_counted_for_it() -> None:
    log = Log().add(attestation("S001.5")).drill(row="R001.1").drill(row="R001.2")
    for _ in range(12):
        log.drill(row="R002.1")
    twice = log.drill(row="R001.1")
    standing = twice.standing
    first, last = 2, len(log.entries) - 1
    assert standing.evidence("R001.1", "demo") == standing.evidence("R001.1", "") == [last, 1]
    assert standing.evidence("R001", "demo") == [last, first, 1]
    assert standing.evidence("R002.1", "demo") == list(range(last - 1, last - 11, -1))
    assert standing.evidence("S001.5", "demo") == [0]
    assert standing.evidence("R001.1", "staging") == standing.evidence("R009.1", "demo") == []
