"""Signatures, incidents, reviews, reports, indicators and contacts over the API: said once, and refused in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database
from prodsprints.web.site import Site
from support_storm import ROW, storm
from web.support_drills import ENTRY, with_drills
from web.support_governance import Settle, moment, settling

SIGNED_FOR = "S001.5"


@pytest.fixture
def furnish() -> Callable[[Site], Site]:
    return lambda site: with_drills(site, ENTRY)


@pytest.fixture
def settle(settings: Settings, database: Database, tenant: UUID) -> Settle:
    return settling(settings, database, tenant)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert problem["next_step"]
    return problem


def declared(writer: httpx.Client, **more: Any) -> dict[str, Any]:
    told = {"risk": "R001", "title": "Throttled for an hour", "what_happened": "All deployments stood still."}
    answer = writer.post("/v1/incidents", json=told | more)
    assert answer.status_code == 201, answer.text
    incident: dict[str, Any] = answer.json()
    return incident


def test_an_attestation_makes_its_row_attested_and_names_who_signed(
    writer: httpx.Client, client: httpx.Client, settle: Settle
) -> None:
    told = {"row": SIGNED_FOR, "evidence": "Minutes of the audit.", "expires_at": moment(30)}
    answer = writer.post("/v1/attestations", json=told)
    assert answer.status_code == 201, answer.text
    settle()
    assert client.get(f"/v1/register/rows/{SIGNED_FOR}").json()["status"] == "attested"
    [listed] = client.get("/v1/attestations", params={"row": SIGNED_FOR}).json()["items"]
    assert listed.items() >= {**answer.json(), "at": listed["at"]}.items()
    assert (listed["person"], listed["is_signed"], listed["environment"]) == ("ada", True, "demo")
    assert client.get("/v1/attestations", params={"environment": "production"}).json()["items"] == []


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"row": ROW}, "register/attestation"),
        ({"row": "S001.9"}, "register/unknown-risk"),
        ({"expires_at": moment(400)}, "kernel/usage"),
        ({"expires_at": moment(-1)}, "kernel/usage"),
        ({"expires_at": "2036-01-01T00:00:00"}, "web/invalid-request"),
        ({"evidence": "  "}, "kernel/usage"),
        ({"evidence": "x" * 501}, "kernel/usage"),
        ({"environment": "No such"}, "kernel/usage"),
        ({"colour": "red"}, "web/invalid-request"),
    ],
)
def test_what_cannot_be_signed_is_refused_and_leaves_nothing(
    writer: httpx.Client, told: dict[str, str], code: str
) -> None:
    good = {"row": SIGNED_FOR, "evidence": "Minutes.", "expires_at": moment(30)}
    answer = writer.post("/v1/attestations", json=good | told)
    refused(answer, 404 if code == "register/unknown-risk" else 422, code)
    assert writer.get("/v1/attestations").json()["items"] == []


def test_an_acceptance_is_the_risks_treatment_until_it_expires(writer: httpx.Client, settle: Settle) -> None:
    told = {"risk": "B001", "reason": "The market decides.", "expires_at": moment(30)}
    assert writer.post("/v1/acceptances", json=told).status_code == 201
    settle()
    risk = writer.get("/v1/register/risks/B001").json()
    assert (risk["treatment"], risk["acceptance"]["holds"]) == ("accept", True)
    assert writer.get("/v1/acceptances", params={"risk": "B001"}).json()["items"][0]["reason"] == "The market decides."
    refused(writer.post("/v1/acceptances", json=told | {"risk": "B009"}), 404, "register/unknown-risk")


def test_an_incident_contradicts_the_rows_it_names_and_closing_it_lifts_nothing(
    writer: httpx.Client, settle: Settle
) -> None:
    incident = declared(writer, rows=["R001.2"], security=True)
    address = f"/v1/incidents/{incident['id']}"
    linked = writer.post(f"{address}/link", json={"row": ROW, "variant": storm.variant}).json()
    assert [(one["row"], one["variant"]) for one in linked["links"]] == [(ROW, storm.variant)]
    closed = writer.post(f"{address}/close", json={"outcome": "Quota raised."})
    assert closed.status_code == 200
    assert (closed.json()["outcome"], closed.json()["closed_by"]) == ("Quota raised.", "ada")
    settle()
    rows = {row["id"]: row["status"] for row in writer.get("/v1/register/risks/R001").json()["mitigations"]}
    assert [row for row, status in rows.items() if status == "contradicted"] == ["R001.2"]
    assert writer.get(address).json() == writer.get("/v1/incidents", params={"risk": "R001"}).json()["items"][0]
    refused(writer.post(f"{address}/close", json={"outcome": "Again."}), 409, "incidents/closed")
    refused(writer.get(f"/v1/incidents/{uuid4()}"), 404, "incidents/unknown")
    refused(writer.post(f"/v1/incidents/{uuid4()}/close", json={"outcome": "x"}), 404, "incidents/unknown")


def test_an_incident_that_cannot_be_meant_is_refused_with_the_nearest_name(writer: httpx.Client) -> None:
    told = {"risk": "R0001", "title": "t", "what_happened": "w"}
    assert "did you mean `R001`" in refused(writer.post("/v1/incidents", json=told), 422, "incidents/input")["detail"]
    foreign = told | {"risk": "R001", "rows": ["S001.1"]}
    refused(writer.post("/v1/incidents", json=foreign), 422, "incidents/input")
    incident = declared(writer)
    wrong = {"row": ROW, "variant": "throtling-storm"}
    answer = refused(writer.post(f"/v1/incidents/{incident['id']}/link", json=wrong), 422, "incidents/input")
    assert "did you mean `throttling-storm`" in answer["detail"]


def test_sent_twice_with_one_key_it_is_said_once(writer: httpx.Client, settle: Settle) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    told = {"risk": "R001", "title": "Throttled", "what_happened": "Stood still."}
    answers = [writer.post("/v1/incidents", json=told, headers=key) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
    settle()
    assert len(writer.get("/v1/incidents").json()["items"]) == 1
    refused(writer.post("/v1/incidents", json=told | {"title": "Other"}, headers=key), 422, "web/idempotency-mismatch")


def test_a_request_that_died_between_the_words_and_the_signature_is_told_apart(
    writer: httpx.Client, database: Database, tenant: UUID
) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    told = {"title": "One region", "description": "Only one."}
    report = writer.post("/v1/reports", json=told, headers=key).json()
    with database.tenant(tenant) as connection:  # as if the server had died before it could note its answer
        connection.execute("update idempotency_keys set status = null, created_at = now() - interval '2 minutes'")
    refused(writer.post("/v1/reports", json=told, headers=key), 409, "web/said-before")
    assert [one["id"] for one in writer.get("/v1/reports").json()["items"]] == [report["id"]]


def test_a_review_moves_its_due_date_and_keeps_the_agenda_of_that_moment(writer: httpx.Client, settle: Settle) -> None:
    incident = declared(writer)
    settle()
    before = writer.get("/v1/reviews").json()
    assert next(one for one in before["schedule"] if one["kind"] == "monthly")["is_overdue"]
    assert before["agenda"][0] == {
        "why": "incident",
        "about": incident["id"],
        "words": f"R001, Throttled for an hour: open since {incident['declared_at'][:10]}",
    }
    told = {"kind": "monthly", "attendees": "Ada, Bob", "decisions": "R001: raise the quota."}
    held = writer.post("/v1/reviews", json=told)
    assert held.status_code == 201, held.text
    assert held.json()["due"] == "2024-02-01"
    assert held.json()["agenda"] == before["agenda"]
    settle()
    after = writer.get("/v1/reviews").json()
    assert not any(one["is_overdue"] for one in after["schedule"])
    assert [one["id"] for one in after["items"]] == [held.json()["id"]]
    assert "No review overdue" in writer.get("/v1/register").json()["summary"]["text"]


def test_an_agenda_can_be_asked_for_of_each_kind(client: httpx.Client) -> None:
    for kind in ("weekly", "monthly", "quarterly", "yearly"):
        assert client.get("/v1/reviews/agenda", params={"kind": kind}).json()["kind"] == kind
    refused(client.get("/v1/reviews/agenda", params={"kind": "daily"}), 422, "web/invalid-request")


def test_a_report_takes_its_stages_one_after_the_other(writer: httpx.Client) -> None:
    told = {"title": "One region", "description": "Our DNS provider has only one."}
    report = writer.post("/v1/reports", json=told).json()
    assert (report["stage"], report["is_overdue"], report["escalates_to"]) == ("assess", False, None)
    address = f"/v1/reports/{report['id']}"
    skipped = writer.post(f"{address}/advance", json={"stage": "plan", "note": "n"})
    refused(skipped, 409, "register/stage")
    for stage in ("assess", "plan", "implement", "monitor"):
        answer = writer.post(f"{address}/advance", json={"stage": stage, "note": f"{stage}ed"})
        assert answer.status_code == 200, answer.text
    done = writer.get(address).json()
    assert (done["stage"], done["due_at"]) == ("done", None)
    assert [(step["stage"], step["person"]) for step in done["steps"]][-1] == ("monitor", "ada")
    refused(writer.get(f"/v1/reports/{uuid4()}"), 404, "register/unknown-report")


def test_an_indicator_without_data_says_so_and_the_finding_is_the_overdue_review(client: httpx.Client) -> None:
    found = {one["id"]: one for one in client.get("/v1/indicators").json()["items"]}
    assert (found["availability"]["value"], found["availability"]["state"]) == (None, "no-data")
    assert all(day["value"] is None for day in found["churn"]["series"])
    assert found["audit-findings"]["state"] == "breach"
    assert found["audit-findings"]["value"] > 365


def test_contacts_are_masked_for_who_reads_and_tested_by_word_of_mouth(
    writer: httpx.Client, client: httpx.Client
) -> None:
    told = {"name": "Ada Lovelace", "reach": "ada@example.org"}
    assert writer.put("/v1/contacts/platform", json=told).json()["reach"] == "ada@example.org"
    for path in ("/v1/contacts", "/v1/contacts/platform"):
        text = client.get(path).text
        assert "Lovelace" not in text
        assert "example.org" not in text
    assert client.get("/v1/contacts/platform").json()["is_there"]
    started = writer.post("/v1/contacts/platform/test")
    assert started.status_code == 201
    refused(writer.post("/v1/contacts/platform/confirm", json={"code": "22222"}), 409, "register/contact-test")
    tested = writer.post("/v1/contacts/platform/confirm", json={"code": started.json()["code"].lower()}).json()
    assert tested["tested_at"]
    assert not tested["is_overdue"]
    gone = writer.delete("/v1/contacts/platform").json()
    assert (gone["is_there"], gone["name"], gone["is_overdue"]) == (False, None, True)


def test_a_contact_that_cannot_be_is_refused(writer: httpx.Client) -> None:
    refused(writer.get("/v1/contacts/plattform"), 404, "register/unknown-role")
    refused(writer.put("/v1/contacts/press", json={"name": "Bob", "reach": "1234"}), 404, "register/unknown-role")
    refused(writer.delete("/v1/contacts/press"), 404, "register/unknown-role")
    refused(writer.put("/v1/contacts/legal", json={"name": " ", "reach": "1234"}), 422, "kernel/usage")
    refused(writer.post("/v1/contacts/legal/test"), 409, "register/contact-test")


def test_a_code_is_kept_nowhere_as_it_was_given(
    writer: httpx.Client, database: Database, tenant: UUID, settle: Settle
) -> None:
    writer.put("/v1/contacts/legal", json={"name": "Grace", "reach": "grace@example.org"})
    key = {"Idempotency-Key": uuid4().hex}
    code = writer.post("/v1/contacts/legal/test", headers=key).json()["code"]
    settle()
    with database.tenant(tenant) as connection:
        kept = str(connection.execute("select * from idempotency_keys").fetchall())
    log = writer.get("/v1/evidence/export").text
    for secret in (code, "Grace", "grace@example.org"):
        assert secret not in kept
        assert secret not in log


def test_who_changes_a_contact_is_in_the_audit_log(writer: httpx.Client, settle: Settle) -> None:
    writer.put("/v1/contacts/legal", json={"name": "Grace", "reach": "grace@example.org"})
    writer.delete("/v1/contacts/legal")
    settle()
    entries = writer.get("/v1/evidence").json()["items"]
    said = [entry["about"] for entry in entries if entry["what"] == "Operation"]
    assert said == ["remove contact contact legal", "set contact contact legal"]


def test_who_is_not_logged_in_changes_nothing(client: httpx.Client) -> None:
    for method, path in (
        ("POST", "/v1/attestations"),
        ("POST", "/v1/acceptances"),
        ("POST", "/v1/incidents"),
        ("POST", f"/v1/incidents/{uuid4()}/link"),
        ("POST", f"/v1/incidents/{uuid4()}/close"),
        ("POST", "/v1/reviews"),
        ("POST", "/v1/reports"),
        ("POST", f"/v1/reports/{uuid4()}/advance"),
        ("PUT", "/v1/contacts/legal"),
        ("DELETE", "/v1/contacts/legal"),
        ("POST", "/v1/contacts/legal/test"),
        ("POST", "/v1/contacts/legal/confirm"),
        ("POST", "/v1/register/import"),
    ):
        refused(client.request(method, path, json={}), 401, "web/login-required")


def test_words_that_were_changed_by_sql_count_for_nothing_and_say_so(
    writer: httpx.Client, database: Database, tenant: UUID, settle: Settle
) -> None:
    incident = declared(writer)
    settle()
    with database.tenant(tenant) as connection:
        connection.execute("update incidents set title = 'Nothing happened'")
    listed = writer.get(f"/v1/incidents/{incident['id']}").json()
    assert (listed["title"], listed["is_signed"]) == ("Nothing happened", False)
    with pytest.raises(psycopg.errors.CheckViolation), database.tenant(tenant) as connection:
        connection.execute("update incidents set title = ''")
