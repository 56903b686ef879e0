"""Our own 24 risks: faithful to the specification, and honest about what is not there yet."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from prodsprints.register import model
from prodsprints.register.model import NEEDS, Cadence, Claim, Kind, Part
from prodsprints.register.rating import Level
from prodsprints.register.register import Register

SPECIFICATION = Path(__file__).parents[1] / "fixtures" / "risks-and-mitigations.md"


def test_ids_titles_levels_probabilities_and_row_counts_are_the_specifications(register: Register, specified) -> None:
    ours = [
        (risk.id, risk.title, risk.category, risk.level, risk.probability, len(risk.mitigations))
        for risk in register.risks
    ]
    theirs = [(it.id, it.title, it.category, it.level, it.probability, it.rows) for it in specified]
    assert ours == theirs


def test_116_rows_are_claimed_to_be_implemented_and_one_to_be_ongoing(register: Register) -> None:
    claims = Counter(mitigation.claim for mitigation in register.mitigations)
    assert claims == {Claim.IMPLEMENTED: 116, Claim.ONGOING: 1}
    assert [row.id for row in register.mitigations if row.claim is Claim.ONGOING] == ["R001.5"]


def test_every_row_says_what_it_lacks_and_none_of_them_carries_a_signature(register: Register) -> None:
    for mitigation in register.mitigations:
        assert set(mitigation.lacks) == set(mitigation.missing) <= set(NEEDS[mitigation.kind]), mitigation.id
        assert (Part.ATTESTATION in mitigation.lacks) is (mitigation.kind is not Kind.CONTROL), mitigation.id


def test_every_row_has_the_words_of_the_tick_that_it_stands_for(register: Register) -> None:
    words: dict[str, str] = {}
    risk, number = "", 0
    for line in SPECIFICATION.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"#### ([A-Z]\d{3}): ", line):
            risk, number = heading[1], 0
        elif tick := re.match(r"- (?:✅|🔄) \*\*\w+\*\*: (.*\S)\s*$", line):
            number += 1
            words[f"{risk}.{number}"] = tick[1]
    assert len(words) == 117
    assert {row.id: row.words for row in register.mitigations} == words


def test_a_path_is_held_by_rows_that_software_holds(register: Register) -> None:
    kinds = {row.id: row.kind for row in register.mitigations}
    held = [row for risk in register.risks for path in risk.paths for row in path.held_by]
    assert held
    assert all(kinds[row] is not Kind.ATTESTATION for row in held)


def test_the_kinds_are_as_the_rows_of_the_design_have_them(register: Register) -> None:
    kinds = {kind: {row.id for row in register.mitigations if row.kind is kind} for kind in Kind}
    assert kinds[Kind.ATTESTATION] == {"S001.5", "O001.5", "O003.5", "B001.4", "B001.5", "B003.3", "B003.5"}
    assert kinds[Kind.BOTH] == {
        *("R001.5", "R006.4", "R011.4", "S002.5", "S003.2", "S004.3", "S004.4", "S005.1", "O001.3", "O002.4"),
        *("O003.2", "O003.3", "O004.5", "B001.2", "B001.3", "B002.3", "B002.4", "B002.5", "B003.1"),
    }


def test_the_rows_of_critical_level_are_the_thirty_of_the_closing_line(register: Register) -> None:
    assert sum(len(risk.mitigations) for risk in register.risks if risk.level is Level.CRITICAL) == 30


def test_severe_risks_are_reviewed_weekly_and_all_others_monthly(register: Register) -> None:
    for risk in register.risks:
        severe = risk.level in (Level.CRITICAL, Level.HIGH)
        assert risk.review is (Cadence.WEEKLY if severe else Cadence.MONTHLY), risk.id


def test_titles_and_texts_are_written_once(register: Register) -> None:
    for field in ("title", "text"):
        written = Counter(getattr(row, field) for row in register.mitigations)
        assert [words for words, times in written.items() if times > 1] == []


def test_the_document_is_owned_sponsored_and_due_for_review(register: Register) -> None:
    assert register.document == model.Document(
        owner="Platform Engineering Team",
        executive_sponsor="CTO",
        last_updated=date(2024, 1, 1),
        next_review=date(2024, 2, 1),
    )
    assert {row.owner for row in register.mitigations} == {"Platform Engineering Team"}


@pytest.mark.parametrize("file", ["risk.yaml", "__init__.py"])
def test_each_risk_is_a_folder_of_its_own(file: str) -> None:
    controls = Path(model.__file__).parents[1] / "controls"
    assert len(list(controls.glob(f"*/{file}"))) == 24
