"""Reading risks: a user's own, broken ones, hostile ones."""

from __future__ import annotations

import math
import os
import string
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.kernel import documents
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.register.errors import RegisterError, UnknownRiskError
from prodsprints.register.load import load, parse
from prodsprints.register.model import Kind, Risk
from prodsprints.register.register import Register

RISK: dict[str, Any] = {
    "id": "ACME7",
    "title": "The warehouse floods",
    "category": "operational",
    "level": "high",
    "probability": 2,
    "description": "The river rises.",
    "impact": "Nothing is shipped.",
    "owner": "Logistics",
    "review": "yearly",
    "mitigations": [
        {
            "id": "ACME7.1",
            "title": "Pumps",
            "kind": "control",
            "claim": "planned",
            "lacks": ["control", "drill"],
            "text": "Pumps start by themselves.",
        },
        {
            "id": "ACME7.2",
            "title": "Insurance",
            "kind": "attestation",
            "claim": "implemented",
            "lacks": ["attestation"],
            "text": "A person signs that we are insured.",
            "owner": "Finance",
        },
    ],
}


def write(folder: Path, risk: dict[str, Any], name: str = "flood") -> Path:
    (folder / "risks" / name).mkdir(parents=True)
    (folder / "risks" / name / "risk.yaml").write_text(yaml.safe_dump(risk, sort_keys=False))
    return folder / "risks"


def refusal(value: Any) -> str:
    with pytest.raises(RegisterError) as caught:
        parse(documents.parse(yaml.safe_dump(value, sort_keys=False), name="risks/flood/risk.yaml"))
    return caught.value.what


def parsed(value: Any) -> Risk:
    return parse(documents.parse(yaml.safe_dump(value, sort_keys=False), name="risks/flood/risk.yaml"))


def test_a_users_risks_stand_beside_ours_in_the_documents_order(tmp_path: Path) -> None:
    register = load(write(tmp_path, RISK))
    assert len(register.risks) == 25
    operational = [risk.id for risk in register.risks if risk.category == "operational"]
    assert operational == ["ACME7", "O001", "O002", "O003", "O004", "O005"]
    assert register.risk("ACME7").mitigations[1].kind is Kind.ATTESTATION


def test_a_mitigation_belongs_to_the_owner_of_its_risk_unless_it_names_another(tmp_path: Path) -> None:
    rows = load(write(tmp_path, RISK)).risk("ACME7").mitigations
    assert [row.owner for row in rows] == ["Logistics", "Finance"]


def test_two_risks_of_one_id_are_refused_with_both_places(tmp_path: Path) -> None:
    risks = write(tmp_path, RISK | {"id": "R002", "mitigations": []})
    with pytest.raises(RegisterError, match=r"risks/flood/risk.yaml:1: R002 .* controls/terraform_state/risk\.yaml:1"):
        load(risks)


def test_an_unknown_key_is_refused_with_its_line_and_the_likely_spelling() -> None:
    assert refusal(RISK | {"propability": 3}).startswith(
        "risks/flood/risk.yaml:27: unknown key `propability`; did you mean `probability`?"
    )


@pytest.mark.parametrize("probability", [0, 6, True, 2.0, "2", None, [2], math.nan, 0.8])
def test_a_probability_that_is_no_whole_number_from_1_to_5_is_refused(probability: object) -> None:
    assert "risks/flood/risk.yaml:5: `probability`" in refusal(RISK | {"probability": probability})


def test_a_misspelt_level_is_refused_with_the_one_that_was_meant() -> None:
    assert "did you mean `critical`?" in refusal(RISK | {"level": "critcal"})


def test_every_problem_is_reported_at_once() -> None:
    lines = refusal({**RISK, "level": "dire", "probability": 9, "owner": 5}).splitlines()
    assert [line.split(":")[1] for line in lines] == ["4", "5", "8"]


def test_a_row_that_claims_a_control_without_naming_one_is_refused() -> None:
    rows = [RISK["mitigations"][0] | {"lacks": ["drill"]}]
    assert "`lacks` of ACME7.1 should be [control, drill]" in refusal(RISK | {"mitigations": rows})


def test_a_row_lacks_what_its_kind_needs_and_it_does_not_name() -> None:
    named = {"control": "prodsprints.kernel.clock:now", "drills": ["prodsprints.kernel.clock:now"]}
    row = RISK["mitigations"][0] | named
    assert "`lacks` of ACME7.1 should be []" in refusal(RISK | {"mitigations": [row]})
    assert parsed(RISK | {"mitigations": [row | {"lacks": []}]}).mitigations[0].missing == ()
    both = row | {"kind": "both", "lacks": ["attestation"]}
    assert parsed(RISK | {"mitigations": [both]}).mitigations[0].missing_software == ()


def test_an_attestation_names_no_code() -> None:
    row = RISK["mitigations"][1] | {"id": "ACME7.1", "control": "prodsprints.kernel.clock:now"}
    assert "is an attestation: a person holds it, so it has no `control`." in refusal(RISK | {"mitigations": [row]})


@pytest.mark.parametrize(
    "name", ["", "os", "a.b", "a:", ":b", "a b:c", "a..b:c", "a.b:c()", "../x:y", "1a:b", "é:b", 5]
)
def test_a_name_that_could_not_be_imported_is_refused_with_its_line(name: object) -> None:
    row = RISK["mitigations"][0] | {"control": name}
    assert "risks/flood/risk.yaml:19: `mitigations[0].control`" in refusal(RISK | {"mitigations": [row]})
    drilled = RISK["mitigations"][0] | {"drills": ["prodsprints.x:y", name]}
    assert "risks/flood/risk.yaml:21: `mitigations[0].drills[1]`" in refusal(RISK | {"mitigations": [drilled]})


@pytest.mark.parametrize("days", [0, -1, 367, 1.5, True, "7", math.nan])
def test_an_age_that_is_no_number_of_days_is_refused(days: object) -> None:
    rows = [RISK["mitigations"][0] | {"max_age_days": days}]
    assert "`mitigations[0].max_age_days`" in refusal(RISK | {"mitigations": rows})


def test_evidence_is_good_for_a_week_unless_the_row_says_otherwise() -> None:
    assert parsed(RISK).mitigations[0].max_age_days == 7


def paths(*shares: object, held_by: list[str] | None = None) -> dict[str, Any]:
    ways = [{"name": f"way {number}", "share": share} for number, share in enumerate(shares)]
    return {**RISK, "paths": [ways[0] | {"held_by": held_by or []}, *ways[1:]]}


@pytest.mark.parametrize("share", [0, -0.1, 1.5, math.nan, math.inf, True, "1", None])
def test_a_share_that_is_none_is_refused_with_its_line(share: object) -> None:
    assert "risks/flood/risk.yaml:29: `paths[0].share` should be a number above 0" in refusal(paths(share))


@pytest.mark.parametrize("shares", [(0.5, 0.4), (0.5, 0.6), (0.3, 0.3, 0.4 + 1e-8), (1, 1e-8)])
def test_shares_that_do_not_sum_to_one_are_refused(shares: tuple[float, ...]) -> None:
    assert "risks/flood/risk.yaml:27: the shares of ACME7's paths sum to" in refusal(paths(*shares))


@pytest.mark.parametrize("shares", [(1,), (0.1,) * 10, (1 / 3,) * 3, (0.5, 0.5 + 1e-10)])
def test_shares_that_sum_to_one_but_for_rounding_are_taken(shares: tuple[float, ...]) -> None:
    assert len(parsed(paths(*shares)).paths) == len(shares)


def test_a_path_that_is_held_by_an_unknown_row_is_refused_with_the_nearest() -> None:
    found = refusal(paths(1, held_by=["ACME7.1", "ACME7.9"]))
    assert "risks/flood/risk.yaml:32: ACME7.9 is no row of ACME7; did you mean `ACME7." in found
    assert "stands twice" in refusal(paths(1, held_by=["ACME7.1", "ACME7.1"]))


def test_two_paths_of_one_name_are_refused() -> None:
    ways = [{"name": "x", "share": 0.5}, {"name": "x", "share": 0.5}]
    assert "two paths called 'x'" in refusal(RISK | {"paths": ways})


def test_rows_are_numbered_from_one_without_gaps() -> None:
    assert "row 1 of ACME7 is ACME7.1, not ACME7.2" in refusal(RISK | {"mitigations": RISK["mitigations"][1:]})


def test_an_escape_sequence_never_gets_into_a_title() -> None:
    assert "`title` holds control characters" in refusal(RISK | {"title": "\x1b[2Jgone"})


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", RISK)
    (tmp_path / "risks").mkdir()
    (tmp_path / "risks" / "flood").symlink_to(outside / "flood")
    with pytest.raises(RegisterError, match="link to a place outside"):
        load(tmp_path / "risks")


def test_a_named_pipe_in_the_place_of_a_risk_is_refused_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "risks" / "pipe").mkdir(parents=True)
    os.mkfifo(tmp_path / "risks" / "pipe" / "risk.yaml")
    with pytest.raises(ProdSprintsError, match="not a regular file"):
        load(tmp_path / "risks")


def test_a_folder_without_a_risk_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegisterError, match="holds no risk"):
        load(tmp_path)


def test_asking_for_a_risk_that_is_not_there_names_the_nearest(register: Register) -> None:
    with pytest.raises(UnknownRiskError, match="did you mean `R002`"):
        register.risk("r02")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable) | st.dates()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.binary() | st.text())
def test_no_bytes_make_the_loader_fail_in_another_way_than_its_own(content: bytes | str) -> None:
    with pytest.raises(ProdSprintsError):
        parse(documents.parse(content, name="risk.yaml"))


@given(st.dictionaries(st.sampled_from([*RISK, "other"]), values), values)
def test_no_value_makes_the_loader_fail_in_another_way_than_its_own(changes: dict[str, Any], row: Any) -> None:
    changed = RISK | {"mitigations": [row]} | changes
    with suppress(ProdSprintsError):
        parse(documents.Document("risk.yaml", changed, {}))
