"""Wiring: what our rows name can be imported, and what cannot is named with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from prodsprints.register import wiring
from prodsprints.register.errors import RegisterError
from prodsprints.register.load import load
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
}


def folder(place: Path, **row: Any) -> Path:
    whole = {"id": "ACME7.1", "title": "Pumps", "kind": "control", "claim": "planned", "text": "They start.", **row}
    (place / "risks" / "flood").mkdir(parents=True)
    text = yaml.safe_dump({**RISK, "mitigations": [whole]}, sort_keys=False)
    (place / "risks" / "flood" / "risk.yaml").write_text(text)
    return place / "risks"


def refusal(risks: Path) -> str:
    with pytest.raises(RegisterError) as caught:
        wiring.check(risks)
    return caught.value.what


def test_a_users_folder_can_be_checked_without_ours(tmp_path: Path) -> None:
    with pytest.raises(RegisterError) as caught:
        wiring.check_in(folder(tmp_path, control="prodsprints.nowhere:Thing", lacks=["drill"]))
    assert "prodsprints.nowhere:Thing of ACME7.1 cannot be imported" in caught.value.what


def test_every_control_and_drill_that_our_rows_name_can_be_imported() -> None:
    wiring.check()


@pytest.mark.parametrize(
    ("control", "why"),
    [
        ("prodsprints.nowhere:Thing", "ModuleNotFoundError"),
        ("prodsprints.kernel.clock:later", "AttributeError"),
        ("prodsprints.kernel.clock:now.then", "AttributeError"),
    ],
)
def test_a_control_that_cannot_be_imported_is_named_with_its_line(tmp_path: Path, control: str, why: str) -> None:
    found = refusal(folder(tmp_path, control=control, lacks=["drill"]))
    assert found.startswith(f"risks/flood/risk.yaml:16: the control {control} of ACME7.1 cannot be imported: {why}")


@pytest.mark.parametrize(
    ("drill", "why"),
    [
        ("prodsprints.nowhere:STORM", "cannot be imported"),
        ("prodsprints.kernel.clock:now", "no Experiment"),
        ("prodsprints.controls.providers.drills:NOTHING", "cannot be imported"),
    ],
)
def test_a_drill_that_is_none_is_named_with_its_line(tmp_path: Path, drill: str, why: str) -> None:
    found = refusal(folder(tmp_path, drills=[drill], lacks=["control"]))
    assert found.startswith("risks/flood/risk.yaml:17: ") and why in found


def test_loading_imports_nothing(tmp_path: Path) -> None:
    risks = folder(tmp_path, control="prodsprints.nowhere:Thing", lacks=["drill"])
    assert load(risks).row("ACME7.1").control == "prodsprints.nowhere:Thing"


@pytest.mark.parametrize("name", ["os:system", "json:loads", "yaml:unsafe_load"])
def test_a_risk_names_no_code_but_ours_and_what_was_installed_to_that_end(tmp_path: Path, name: str) -> None:
    with pytest.raises(RegisterError, match=rf"risk\.yaml:16: {name} is code of '{name.split(':', maxsplit=1)[0]}'"):
        load(folder(tmp_path, control=name, lacks=["drill"]))


def test_an_installed_package_may_offer_controls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = tmp_path / "acme-1.0.dist-info"
    offered.mkdir()
    (offered / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (offered / "entry_points.txt").write_text("[prodsprints.controls]\nflood = acme_flood.controls\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from prodsprints.register import load as loader

    loader._packages_with_controls.cache_clear()
    try:
        risks = folder(tmp_path, control="acme_flood.pumps:Pump", lacks=["drill"])
        assert load(risks).row("ACME7.1").control == "acme_flood.pumps:Pump"
    finally:
        loader._packages_with_controls.cache_clear()


def test_the_digests_of_all_our_drills_are_there_by_row_and_variant(register: Register) -> None:
    found = wiring.digests(register, wiring.catalog(register))
    named = {row.id: len(row.drills) for row in register.mitigations if row.drills}
    assert {row: len(variants) for row, variants in found.items()} == named
    assert json.dumps(found)


def test_a_row_whose_drill_cannot_be_imported_has_no_digest(tmp_path: Path) -> None:
    register = load(folder(tmp_path, control="prodsprints.x:y", drills=["prodsprints.nowhere:STORM"], lacks=[]))
    assert wiring.digests(register, wiring.catalog(register))["ACME7.1"] == {}
