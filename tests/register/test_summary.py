"""The first line, and the JSON form: counted from the rows, the evidence and the day."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from prodsprints.register.export import as_json
from prodsprints.register.register import Register

TODAY = date(2026, 11, 23)


def test_the_first_line_says_what_is_claimed_proven_and_overdue(register: Register) -> None:
    expected = "Claimed 116 · Proven here 0 · Overdue review 1 (since 2024-02-01)"
    assert str(register.summary(TODAY)) == expected


def test_a_review_is_overdue_from_the_day_after_it_was_due(register: Register) -> None:
    assert register.summary(date(2024, 2, 1)).overdue == ()
    assert str(register.summary(date(2024, 2, 1))).endswith("No review overdue")
    assert [review.due for review in register.summary(date(2024, 2, 2)).overdue] == [date(2024, 2, 1)]


def test_a_later_review_date_in_the_document_ends_the_delay(register: Register) -> None:
    reviewed = replace(register, document=replace(register.document, next_review=date(2027, 1, 1)))
    assert reviewed.summary(TODAY).overdue == ()


@given(st.sets(st.sampled_from(["R001.1", "R001.5", "O005.2", "X001.1", "R001"])))
def test_only_evidence_for_a_row_of_the_register_counts_as_proof(register: Register, evidence: set[str]) -> None:
    assert register.summary(TODAY, proven=evidence).proven == len(evidence & {"R001.1", "R001.5", "O005.2"})


def test_the_json_form_shows_claims_and_no_proof(register: Register) -> None:
    form = json.loads(json.dumps(as_json(register, today=TODAY)))
    rows = [row for risk in form["risks"] for row in risk["mitigations"]]
    assert len(rows) == 117
    assert {row["claim"] for row in rows} == {"implemented", "ongoing"}
    assert not any(row["proven"] for row in rows)
    assert all(row["lacks"] for row in rows)
    assert form["summary"]["overdue"] == [{"subject": "the risk document", "due": "2024-02-01"}]


def test_the_json_form_carries_the_derived_rating(register: Register) -> None:
    ratings = {risk["id"]: risk["rating"] for risk in as_json(register, today=TODAY)["risks"]}
    assert (ratings["S003"], ratings["B001"], ratings["R007"], ratings["R010"]) == ("high", "critical", "high", "low")
