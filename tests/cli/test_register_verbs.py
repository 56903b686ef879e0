"""`register` and `incident`: claims beside proofs from the platform, claims alone without it, documents in and out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.support_register import INCIDENT
from prodsprints.kernel.errors import ExitCode

Type = Callable[..., Any]


def test_the_register_is_shown_as_the_platform_knows_it(platform: Any, type_: Type) -> None:
    typed = type_("register")
    assert "Claimed 116 · Proven here 0" in typed.out
    assert "30 of 30 critical rows unproven in demo." in typed.out
    assert "Claims only" not in typed.err
    (line,) = type_("register", "--json", "--env", "demo").lines
    assert (line["live"], line["environment"], len(line["risks"])) == (True, "demo", 24)


def test_without_a_platform_claims_are_shown_and_called_that(type_: Type) -> None:
    for words in (("register",), ("register", "show", "R001")):
        typed = type_(*words)
        assert typed.code == 0
        assert "Claims only: no platform answers" in typed.err
    (line,) = type_("register", "--json").lines
    assert line["live"] is False


def test_a_risk_shows_why_each_row_has_its_status(platform: Any, type_: Type) -> None:
    typed = type_("register", "show", "r001")
    assert "today rated critical" in typed.out
    assert "unproven" in typed.out
    assert ("GET", "/v1/register/risks/R001") in [asked[:2] for asked in platform.asked]


def test_a_document_is_sent_as_it_is_meant_and_its_warnings_are_shown(
    platform: Any, type_: Type, tmp_path: Path
) -> None:
    file = tmp_path / "RISKS.md"
    file.write_bytes("\ufeff# Risques élevés ✅\r\n".encode())
    typed = type_("register", "import", str(file))
    assert "Risks: 24. Mitigations: 117, claimed to be implemented: 116, joined to our controls: 117." in typed.out
    assert "RISKS.md, line 7: claims nothing" in typed.err
    [(_, _, _, body)] = [asked for asked in platform.asked if asked[1] == "/v1/register/import"]
    assert body["markdown"].endswith("# Risques élevés ✅\r\n")


def test_a_refused_document_is_explained_with_its_exit_code(platform: Any, type_: Type, tmp_path: Path) -> None:
    problem = {"title": "x", "status": 422, "detail": "line 3: no.", "next_step": "Correct it.", "exit_code": 64}
    platform.answers["POST", "/v1/register/import"] = (422, problem)
    (tmp_path / "x.md").write_text("# x")
    typed = type_("register", "import", str(tmp_path / "x.md"))
    assert typed.code == ExitCode.USAGE
    assert "line 3: no." in typed.err


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"x" * 2_000_000), lambda _: None]
)
def test_a_file_that_cannot_be_a_document_is_not_sent(
    platform: Any, type_: Type, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "x.md")
    typed = type_("register", "import", str(tmp_path / "x.md"))
    assert typed.code == ExitCode.USAGE
    assert not [asked for asked in platform.asked if asked[0] == "POST"]


@pytest.mark.parametrize("form", ["markdown", "html", "json"])
def test_an_export_is_written_as_it_came(platform: Any, type_: Type, tmp_path: Path, form: str) -> None:
    platform.answers["GET", "/v1/register/export"] = (200, f"as {form} ✅\n")
    assert type_("register", "export", f"--{form}").out == f"as {form} ✅\n"
    file = tmp_path / "out"
    assert type_("register", "export", f"--{form}", "--output", str(file)).code == 0
    assert file.read_text(encoding="utf-8") == f"as {form} ✅\n"


def test_an_export_needs_the_platform_since_only_it_knows_what_is_true(type_: Type) -> None:
    typed = type_("register", "export")
    assert typed.code == ExitCode.FAILED
    assert "prodsprints up" in typed.err


def test_a_closed_gate_ends_with_3_and_an_open_one_with_0(platform: Any, type_: Type) -> None:
    assert type_("register", "gate").code == ExitCode.REFUSED
    (line,) = type_("register", "gate", "--json").lines
    assert [refusal["kind"] for refusal in line["refusals"]] == ["overdue review"]
    platform.answers["GET", "/v1/register/gate"] = (
        200,
        {"schema": 1, "environment": "demo", "open": True, "refusals": []},
    )
    assert type_("register", "gate").code == 0


def test_the_schema_of_a_risk_is_json(type_: Type) -> None:
    assert "$schema" in json.loads(type_("register", "schema").out)


def test_reviews_show_what_is_due_and_overdue(platform: Any, type_: Type) -> None:
    shown = type_("register", "reviews").out
    assert "2024-02-01, overdue" in shown
    assert "after the first review" in shown
    kinds = [line["kind"] for line in type_("register", "reviews", "--json").lines]
    assert kinds == ["weekly", "monthly", "quarterly", "yearly"]


def test_an_incident_is_declared_linked_and_closed(platform: Any, type_: Type) -> None:
    declared = type_(
        "incident", "declare", "r001", "--row", "r001.1", "--title", "Throttled", "--what", "It stood.", "--env", "demo"
    )
    assert INCIDENT["id"] in declared.out
    assert type_("incident", "link", INCIDENT["id"], "--row", "r001.1", "--variant", "storm").code == 0
    assert type_("incident", "close", INCIDENT["id"], "--outcome", "Quota raised.").code == 0
    bodies = [body for method, _, _, body in platform.asked if method == "POST"]
    assert bodies == [
        {
            "risk": "R001",
            "rows": ["R001.1"],
            "title": "Throttled",
            "what_happened": "It stood.",
            "security": False,
            "environment": "demo",
        },
        {"row": "R001.1", "variant": "storm"},
        {"outcome": "Quota raised."},
    ]


def test_incidents_are_listed_and_one_that_is_not_signed_says_so(platform: Any, type_: Type) -> None:
    assert "open" in type_("incident", "list").out
    platform.answers["GET", "/v1/incidents"] = (200, {"items": [INCIDENT | {"is_signed": False}], "next": None})
    assert "not signed: without effect" in type_("incident", "list").out
    (line,) = type_("incident", "list", "--json").lines
    assert line["risk"] == "R001"


def test_brackets_in_what_people_wrote_are_theirs(platform: Any, type_: Type) -> None:
    closing = f"/v1/incidents/{INCIDENT['id']}/close"
    platform.answers["POST", closing] = (200, INCIDENT | {"title": "[eu] down [/eu] [bold]"})
    typed = type_("incident", "close", INCIDENT["id"], "--outcome", "Quota raised.")
    assert (typed.code, "[eu] down [/eu] [bold]" in typed.out) == (0, True)


def test_a_folder_of_ones_own_that_names_what_is_not_there_is_refused(type_: Type, tmp_path: Path) -> None:
    row = "{id: X001.1, title: a, kind: control, claim: planned, text: a, lacks: [drill], control: 'prodsprints.no:x'}"
    risk = f"""\
id: X001
title: Flood
category: technical
level: high
probability: 4
description: Water.
impact: Wet.
owner: Ann
review: weekly
mitigations: [{row}]
"""
    (tmp_path / "risks" / "flood").mkdir(parents=True)
    (tmp_path / "risks" / "flood" / "risk.yaml").write_text(risk)
    for words in (("register",), ("register", "show", "X001")):
        typed = type_(*words, "--risks", str(tmp_path / "risks"))
        assert typed.code == ExitCode.USAGE
        assert "risks/flood/risk.yaml:10: the control prodsprints.no:x of X001.1 cannot be imported" in typed.err


def test_a_number_past_all_numbers_is_refused_in_our_words(type_: Type, tmp_path: Path) -> None:
    (tmp_path / "risks" / "flood").mkdir(parents=True)
    (tmp_path / "risks" / "flood" / "risk.yaml").write_text(f"id: X001\nprobability: {'9' * 400}\n")
    typed = type_("register", "--risks", str(tmp_path / "risks"))
    assert typed.code == ExitCode.USAGE
    assert "it should be much smaller." in typed.err
