"""The assessment: every row has one status, the seven add up, and looking again comes to the same as looking anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from prodsprints.ledger.statement import Statement
from prodsprints.register.assessment import Assessment, Digests, LogState, Ongoing, assess
from prodsprints.register.assessment import Log as LogOf
from prodsprints.register.model import FailurePath
from prodsprints.register.rating import Level
from prodsprints.register.register import Register
from prodsprints.register.standing import Standing, fold
from prodsprints.register.status import Status
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

VERIFIED = LogOf(LogState.VERIFIED)
DIGESTS = {"R001.1": {"storm": sha("a")}, "R001.2": {"storm": sha("a"), "hang": sha("b")}, "R002.1": {"hang": sha("a")}}


@pytest.fixture(scope="module")
def wired(register: Register) -> Register:
    """Ours, with a drill for some rows, and a path that they hold."""
    risks = []
    for risk in register.risks:
        rows = tuple(
            replace(row, control=f"a.{row.id}:b".replace(".", "_").replace("a_", "a."), drills=("x:y",), lacks=())
            if row.id in DIGESTS
            else replace(row, control=None, drills=())
            for row in risk.mitigations
        )
        held = tuple(row.id for row in rows if row.id in DIGESTS)
        risks.append(replace(risk, mitigations=rows, paths=(FailurePath("every", 1.0, held),) if held else ()))
    return replace(register, risks=tuple(risks))


def look(register: Register, log: Log, *, after: timedelta = HOUR, state: LogOf = VERIFIED) -> Assessment:
    now = max((entry.at for entry in log.entries), default=BEGIN) + after
    return assess(register, log.standing, DIGESTS, "demo", now, state)


@given(st.lists(anything_said, max_size=15))
@hypothesis_settings(max_examples=30)
def test_the_seven_statuses_add_up_to_the_rows(wired: Register, statements: list[Statement]) -> None:
    log = Log()
    for statement in statements:
        log.add(statement)
    counts = look(wired, log).counts
    told = counts.as_json()
    assert sum(told[status] for status in Status) == told["mitigations"] == 117
    assert told["risks"] == 24


class Step(NamedTuple):
    """Something is said, or all that was said is forgotten; and the controls are as they were, or changed."""

    said: Statement | None
    hours: int
    digests: Digests
    is_tampered: bool


CHANGED = {"R001.1": {"storm": sha("b")}, "R001.2": {"storm": sha("a")}}
steps = st.builds(
    Step,
    st.one_of(anything_said, anything_said, anything_said, st.none()),
    st.integers(0, 200),
    st.sampled_from([DIGESTS, DIGESTS, dict(DIGESTS), CHANGED]),
    st.sampled_from([False, False, False, True]),
)


@given(st.lists(steps, max_size=12))
@hypothesis_settings(max_examples=60)
def test_looking_again_comes_to_the_same_as_looking_anew(wired: Register, steps: list[Step]) -> None:
    ongoing, standing, now = Ongoing(wired, "demo"), Standing(TENANT), BEGIN
    log = Log()
    for step in steps:
        now += step.hours * HOUR
        if step.said is None:
            log, standing = Log(), Standing(TENANT)
        else:
            log.add(step.said, now)
            standing = fold(standing, log.entries[-1:])
        state = LogOf(LogState.TAMPERED, "Entry 3 is missing.") if step.is_tampered else VERIFIED
        for hours in (0, 0, 30):
            now += hours * HOUR
            again = ongoing.assess(standing, step.digests, now, state)
            anew = assess(wired, standing, step.digests, "demo", now, state)
            assert again == anew
            assert again.ending(now + 9 * DAY) == anew.ending(now + 9 * DAY)


def test_nothing_is_worked_out_again_while_nothing_changes(wired: Register) -> None:
    ongoing, standing = Ongoing(wired, "demo"), Log().drill().standing
    first = ongoing.assess(standing, DIGESTS, BEGIN, VERIFIED)
    second = ongoing.assess(standing, DIGESTS, BEGIN + HOUR, VERIFIED)
    assert second.rows is first.rows
    assert second.now == BEGIN + HOUR


def test_what_ends_by_itself_is_told_in_the_order_in_which_it_ends(wired: Register) -> None:
    log = (
        Log().add(attestation("S001.5", expires=BEGIN + 3 * DAY)).drill().drill("failed", row="R002.1", variant="hang")
    )
    found = look(wired, log)
    assert [row.row for row in found.ending(BEGIN + 30 * DAY)] == ["S001.5", "R001.1"]
    assert [row.row for row in found.ending(BEGIN + 7 * DAY)] == ["S001.5"]
    assert not found.ending(BEGIN + 3 * DAY)


def test_a_log_that_was_tampered_with_makes_every_row_invalid_and_says_why(wired: Register) -> None:
    found = look(wired, Log().drill(), state=LogOf(LogState.TAMPERED, "Entry 3 is missing."))
    assert found.counts.invalid == 117
    assert "Entry 3 is missing." in found.rows["R001.1"].reason
    assert found.closing_line == "30 of 30 critical rows unproven"


def test_a_repaired_log_counts_again(wired: Register) -> None:
    ongoing, standing = Ongoing(wired, "demo"), Log().drill().standing
    for state in (LogState.VERIFIED, LogState.TAMPERED, LogState.UNWITNESSED):
        found = ongoing.assess(standing, DIGESTS, BEGIN, LogOf(state))
        assert found.counts.proven == (0 if state is LogState.TAMPERED else 1)
    assert not found.outside_witness


def test_a_proven_control_moves_the_residual_and_not_the_inherent_rating(wired: Register) -> None:
    log = Log()
    for day in range(12):
        log.drill(at=BEGIN + day * DAY)
    risk = look(wired, log).risks["R001"]
    assert (risk.inherent.probability, risk.residual.probability) == (4, 1)
    assert (risk.inherent.rating, risk.residual.rating) == (Level.CRITICAL, Level.HIGH)
    assert risk.has_moved
    assert risk.target is not None and risk.target.events_per_year <= risk.residual.events_per_year


def test_an_accepted_risk_says_so_until_a_drill_of_it_fails_or_it_expires(wired: Register) -> None:
    log = Log().add(acceptance(expires=BEGIN + 10 * DAY))
    assert look(wired, log).risks["R001"].treatment == "accept"
    assert look(wired, log, after=10 * DAY).risks["R001"].treatment == "mitigate"
    log.drill("failed")
    reopened = look(wired, log).risks["R001"]
    assert (reopened.treatment, reopened.is_accepted) == ("mitigate", False)


def test_a_risk_has_the_worst_status_of_its_rows(wired: Register) -> None:
    log = Log().drill()
    assert look(wired, log).risks["R001"].status is Status.UNPROVEN
    assert look(wired, log.add(incident("declared", rows=["R001.3"]))).risks["R001"].status is Status.CONTRADICTED


def test_the_closing_line_counts_what_keeps_it_from_being_true(register: Register) -> None:
    assert look(register, Log()).closing_line == "30 of 30 critical rows unproven"


def test_the_closing_line_is_printed_only_when_all_critical_rows_are_proven_or_signed(register: Register) -> None:
    critical = [row for risk in register.risks if risk.level is Level.CRITICAL for row in risk.mitigations]
    digests = {row.id: {"storm": sha("a")} for row in critical}
    ids = set(digests)
    risks = tuple(
        replace(
            risk,
            mitigations=tuple(
                replace(row, control="a:b", drills=("x:y",)) if row.id in ids else row for row in risk.mitigations
            ),
        )
        for risk in register.risks
    )
    log = Log()
    for row in critical:
        log.add(drill(row=row.id)).add(attestation(row.id, expires=BEGIN + 2 * DAY))

    def line(after: timedelta) -> str:
        return assess(
            replace(register, risks=risks), log.standing, digests, "demo", BEGIN + after, VERIFIED
        ).closing_line

    assert line(DAY) == "ALL CRITICAL RISKS MITIGATED"
    assert line(2 * DAY) == "4 of 30 critical rows unproven", "R001.5, S001.5, S002.5, S003.2 expired"
