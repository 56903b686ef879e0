"""The gate: what refuses a release, what does not, and that it says so to people, programs and CI."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest

from prodsprints.kernel.errors import ExitCode
from prodsprints.register.assessment import Assessment, LogState, assess
from prodsprints.register.assessment import Log as LogOf
from prodsprints.register.errors import RegisterError
from prodsprints.register.gate import Gate, check
from prodsprints.register.register import Register
from prodsprints.register.summary import Review
from register.support_log import BEGIN, DAY, HOUR, Log, attestation, incident, sha

STORM = {"R001.1": {"storm": sha("a")}}


@pytest.fixture
def wired(register: Register) -> Register:
    risk = register.risk("R001")
    first = replace(risk.mitigations[0], control="a:b", drills=("x:y",), lacks=())
    changed = replace(risk, mitigations=(first, *risk.mitigations[1:]))
    return replace(register, risks=tuple(changed if one.id == "R001" else one for one in register.risks))


def look(
    register: Register, log: Log, after: timedelta = HOUR, state: LogState = LogState.VERIFIED, why: str = ""
) -> Assessment:
    return assess(register, log.standing, STORM, "demo", BEGIN + after, LogOf(state, why))


def kinds(gate: Gate) -> list[tuple[str, str]]:
    return [(refusal.kind, refusal.subject) for refusal in gate.refusals]


def test_rows_that_were_never_proven_do_not_block_the_first_release(wired: Register) -> None:
    gate = check(look(wired, Log()), wired, ())
    assert (gate.is_open, gate.exit_code) == (True, ExitCode.DONE)


@pytest.mark.parametrize(
    ("log", "after", "kind"),
    [
        (Log().drill("failed"), HOUR, "failing"),
        (Log().drill("invalid"), HOUR, "invalid"),
        (Log().drill().add(incident("declared", rows=["R001.1"])), HOUR, "contradicted"),
        (Log().drill(), 8 * DAY, "stale"),
        (Log().drill(digest="b"), HOUR, "stale"),
    ],
)
def test_what_was_proven_and_no_longer_is_refuses(wired: Register, log: Log, after: timedelta, kind: str) -> None:
    gate = check(look(wired, log, after), wired, ())
    assert kinds(gate) == [(kind, "R001.1")]
    assert gate.exit_code == ExitCode.REFUSED == 3
    assert gate.refusals[0].evidence is not None


def test_an_expired_signature_refuses_even_where_it_is_not_the_worst(register: Register) -> None:
    alone = Log().add(attestation("S001.5", expires=BEGIN + DAY))
    assert kinds(check(look(register, alone, 2 * DAY), register, ())) == [("stale", "S001.5")]
    both = Log().add(attestation("R001.5", expires=BEGIN + DAY))
    gate = check(look(register, both, 2 * DAY), register, ())
    assert kinds(gate) == [("expired attestation", "R001.5")]


def test_an_overdue_review_refuses(wired: Register) -> None:
    gate = check(look(wired, Log()), wired, [Review("the risk document", date(2024, 2, 1))])
    assert kinds(gate) == [("overdue review", "the risk document")]
    assert "2024-02-01" in gate.as_text()


@pytest.mark.parametrize(
    ("require", "rows"), [("R001.1", 0), ("R001.2", 1), ("R001", 4), ("critical", 29), ("low", 8), ("medium", 30)]
)
def test_what_is_required_has_to_be_proven(wired: Register, require: str, rows: int) -> None:
    proven = look(wired, Log().drill())
    gate = check(proven, wired, (), [require])
    assert len(gate.refusals) == rows
    assert {refusal.kind for refusal in gate.refusals} <= {"not proven"}


def test_a_signature_that_has_not_expired_is_proof_enough_where_it_is_required(register: Register) -> None:
    log = Log().add(attestation("S001.5"))
    assert check(look(register, log), register, (), ["S001.5"]).is_open


def test_a_requirement_that_names_nothing_is_refused_with_the_nearest(wired: Register) -> None:
    with pytest.raises(RegisterError, match=r"'R01\.1', which is no row.*did you mean `R0\d+\.1`"):
        check(look(wired, Log()), wired, (), ["R01.1"])


def test_a_log_that_was_tampered_with_refuses_once_and_not_once_a_row(wired: Register) -> None:
    gate = check(look(wired, Log(), state=LogState.TAMPERED, why="Entry 3 is missing."), wired, ())
    assert kinds(gate) == [("tampered", "the log")]
    assert "Entry 3 is missing." in gate.as_text()


def test_programs_get_the_same_as_people(wired: Register) -> None:
    gate = check(look(wired, Log().drill("failed")), wired, ())
    told = json.loads(json.dumps(gate.as_json()))
    assert (told["open"], told["environment"]) == (False, "demo")
    assert told["refusals"][0] | {"sentence": ""} == {
        "kind": "failing",
        "subject": "R001.1",
        "sentence": "",
        "evidence": 0,
    }
    assert gate.as_text().splitlines()[-1] == "Refused in demo: 1 thing to put right first."


def test_ci_gets_a_case_for_everything_that_was_looked_at(wired: Register) -> None:
    gate = check(look(wired, Log().drill("failed")), wired, [Review("<&>", date(2024, 2, 1))])
    root = ElementTree.fromstring(gate.as_junit())  # noqa: S314 - we have just written it
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("119", "2")
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["R001.1", "<&>"]
