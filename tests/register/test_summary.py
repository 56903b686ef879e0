"""The first line, and the JSON form: counted from the rows, the evidence and the day."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

from prodsprints.register.assessment import Log as LogOf
from prodsprints.register.assessment import LogState, assess
from prodsprints.register.export import as_json
from prodsprints.register.register import Register
from prodsprints.register.status import Counts, Status
from prodsprints.register.summary import Review
from register.support_log import BEGIN, HOUR, Log, acceptance, attestation

TODAY = date(2026, 11, 23)


def test_the_first_line_says_what_is_claimed_proven_and_overdue(register: Register) -> None:
    expected = "Claimed 116 · Proven here 0 · Failing 0 · Overdue review 1 (since 2024-02-01)"
    assert str(register.summary(TODAY)) == expected


def test_a_review_is_overdue_from_the_day_after_it_was_due(register: Register) -> None:
    assert register.summary(date(2024, 2, 1)).overdue == ()
    assert str(register.summary(date(2024, 2, 1))).endswith("No review overdue")
    assert [review.due for review in register.summary(date(2024, 2, 2)).overdue] == [date(2024, 2, 1)]


def test_a_later_review_date_in_the_document_ends_the_delay(register: Register) -> None:
    reviewed = replace(register, document=replace(register.document, next_review=date(2027, 1, 1)))
    assert reviewed.summary(TODAY).overdue == ()


def test_what_an_assessment_counts_stands_in_the_first_line(register: Register) -> None:
    counts = Counts.of(24, [Status.PROVEN] * 7 + [Status.FAILING] * 2 + [Status.UNPROVEN] * 108)
    line = "Claimed 116 · Proven here 7 · Failing 2 · No review overdue"
    assert str(register.summary(TODAY, counts, ())) == line


def test_what_is_worse_than_failing_is_never_left_out_of_the_first_line(register: Register) -> None:
    counts = Counts.of(24, [Status.CONTRADICTED] * 5 + [Status.INVALID] + [Status.UNPROVEN] * 111)
    line = "Claimed 116 · Proven here 0 · Failing 0 · Contradicted 5 · Invalid 1 · No review overdue"
    assert str(register.summary(TODAY, counts, ())) == line


def test_the_oldest_overdue_review_is_named(register: Register) -> None:
    late = [Review("the weekly review", date(2026, 11, 20)), Review("the risk document", date(2024, 2, 1))]
    assert str(register.summary(TODAY, overdue=late)).endswith("Overdue review 2 (since 2024-02-01)")


def test_the_json_form_shows_claims_and_no_status_before_anything_is_assessed(register: Register) -> None:
    form = json.loads(json.dumps(as_json(register, today=TODAY)))
    rows = [row for risk in form["risks"] for row in risk["mitigations"]]
    assert len(rows) == 117
    assert {row["claim"] for row in rows} == {"implemented", "ongoing"}
    assert not any("status" in row for row in rows)
    assert form["summary"]["overdue"] == [{"subject": "the risk document", "due": "2024-02-01"}]
    assert (form["summary"]["proven"], form["summary"]["unproven"]) == (0, 117)


def test_the_json_form_of_an_assessment_says_for_each_row_why_and_for_each_risk_what_is_left(
    register: Register,
) -> None:
    log = Log().drill("failed").add(acceptance()).add(attestation())
    found = assess(register, log.standing, {}, "demo", BEGIN + HOUR, LogOf(LogState.UNWITNESSED))
    form = json.loads(json.dumps(as_json(register, today=TODAY, assessment=found)))
    risk = next(risk for risk in form["risks"] if risk["id"] == "R001")
    assert (risk["treatment"], risk["acceptance"]["holds"], risk["inherent"]["rating"]) == ("accept", True, "critical")
    assert (risk["mitigations"][0]["status"], risk["mitigations"][0]["evidence"]) == ("failing", 0)
    assert form["log"] == {"state": "unwitnessed", "reason": "", "size": 0, "outside_witness": False}
    assert form["closing_line"] == "29 of 30 critical rows unproven"
    assert sum(form["summary"][status] for status in Status) == form["summary"]["mitigations"]


def test_the_json_form_carries_the_derived_rating(register: Register) -> None:
    ratings = {risk["id"]: risk["rating"] for risk in as_json(register, today=TODAY)["risks"]}
    assert (ratings["S003"], ratings["B001"], ratings["R007"], ratings["R010"]) == ("high", "critical", "high", "low")
