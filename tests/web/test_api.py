from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from prodsprints.controls.integrations import mirror_records
from prodsprints.controls.integrations.mirror import Noted
from prodsprints.kernel import clock
from prodsprints.release import records
from prodsprints.store import leases
from prodsprints.store.database import Database
from web.support_workshop import Day, Workshop, another_tenant

PROBLEM = {"type", "title", "status", "detail", "code", "next_step", "exit_code"}


def listed(client: httpx.Client, limit: int) -> list[str]:
    """The ids of all releases, read page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = client.get("/v1/releases", params={"limit": limit} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["items"]) <= limit
        found += [release["id"] for release in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return found


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() >= PROBLEM
    assert problem["code"] == code
    assert problem["type"] == f"urn:prodsprints:{code}"
    assert problem["next_step"]
    return problem


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "main.py").write_text("print('hello')\n")
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-C", str(root)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    return root


def test_health_says_how_the_parts_are_and_answers_although_the_node_agent_is_away(client: httpx.Client) -> None:
    health = client.get("/v1/health").json()
    assert health["database"] == "up"
    assert health["node"] == "down"
    assert re.fullmatch(r"\d+\.\d+\.\d+", health["version"])


def test_the_register_is_all_claims(client: httpx.Client) -> None:
    register = client.get("/v1/register").json()
    assert register["summary"]["claimed"] == 116
    assert register["summary"]["proven"] == 0
    assert client.get("/v1/register/risks/R001").json()["title"] == "Provider API Rate Limits"
    refused(client.get("/v1/register/risks/R999"), 404, "register/unknown-risk")
    assert client.get("/v1/register/heatmap.svg").headers["content-type"] == "image/svg+xml"


def test_a_release_is_queued_for_the_commit_that_the_ref_names(writer: httpx.Client, repository: Path) -> None:
    answer = writer.post("/v1/releases", json={"path": str(repository), "ref": "v1"})
    assert answer.status_code == 202, answer.text
    release = answer.json()
    assert (release["label"], release["status"], release["requested_by"]) == ("v1", "queued", "ada")
    assert not release["ended"]
    assert writer.get(f"/v1/releases/{release['id']}").json()["steps"] == []
    assert [one["id"] for one in writer.get("/v1/releases").json()["items"]] == [release["id"]]
    assert writer.get("/v1/projects").json()["items"][0]["environments"] == ["production"]


def test_a_release_of_a_remote_repository_is_queued_and_its_commit_found_later(writer: httpx.Client) -> None:
    body = {"path": "https://git.example.com/acme/shop.git", "ref": "v2"}
    release = writer.post("/v1/releases", json=body).json()
    assert (release["repository"], release["project"], release["commit"]) == (body["path"], "shop", "")
    in_full = writer.get(f"/v1/releases/{release['id']}").json()
    assert in_full["degradations"] == []
    page = writer.get(f"/releases/{release['id']}")
    assert "not found yet" in page.text


@pytest.mark.parametrize(
    ("path", "ref", "code"),
    [
        ("https://me:hunter2@git.example.com/acme/shop.git", "v1", "integrations/bad-address"),
        ("ssh://git@git.example.com/acme/shop.git", "v1", "integrations/bad-address"),
        ("ext::sh -c id", "v1", "integrations/bad-address"),
        ("file:///etc", "v1", "integrations/bad-address"),
        ("http://git.example.com/acme/shop.git", "v1", "integrations/bad-address"),
        ("https://169.254.169.254/latest/meta-data", "v1", "integrations/bad-address"),
        ("https://127.0.0.1:8900/v1", "v1", "integrations/bad-address"),
        ("-oProxyCommand=x", "v1", "kernel/usage"),
        ("https://git.example.com/acme/shop.git", "--upload-pack=id", "integrations/unknown-ref"),
    ],
)
def test_a_remote_repository_that_is_none_is_refused_with_what_to_do(
    writer: httpx.Client, path: str, ref: str, code: str
) -> None:
    answer = writer.post("/v1/releases", json={"path": path, "ref": ref})
    refused(answer, 422, code)
    assert "hunter2" not in answer.text


def test_a_project_says_what_its_nodes_keep_of_a_remote_repository(
    writer: httpx.Client, database: Database, tenant: UUID
) -> None:
    url = "https://git.example.com/acme/shop.git"
    writer.post("/v1/releases", json={"path": url})
    noted = Noted(url, clock.now(), clock.now() - timedelta(hours=3), 2_621_440, "The Git host <b>hangs</b>.")
    mirror_records.note(database, tenant, "workbench", noted)
    [project] = writer.get("/v1/projects").json()["items"]
    [mirror] = project["mirrors"]
    assert (mirror["node"], mirror["failing"], mirror["size_bytes"]) == ("workbench", True, 2_621_440)
    page = writer.get("/projects/shop").text
    assert "Mirror on workbench" in page and "2.5 MiB" in page
    assert "could not fetch from the Git host" in page and "&lt;b&gt;hangs" in page


def test_sent_twice_with_one_key_a_release_is_queued_once(writer: httpx.Client, repository: Path) -> None:
    body, headers = {"path": str(repository)}, {"Idempotency-Key": "once"}
    first = writer.post("/v1/releases", json=body, headers=headers)
    second = writer.post("/v1/releases", json=body, headers=headers)
    assert second.status_code == first.status_code == 202
    assert second.json() == first.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(writer.get("/v1/releases").json()["items"]) == 1
    other = {**body, "environment": "staging"}
    refused(writer.post("/v1/releases", json=other, headers=headers), 422, "web/idempotency-mismatch")


def test_refusals_of_the_release_room_come_with_their_own_code_and_next_step(
    writer: httpx.Client, repository: Path
) -> None:
    refused(writer.post("/v1/releases", json={"path": str(repository.parent)}), 422, "release/not-a-repository")
    refused(writer.post("/v1/releases", json={"path": str(repository), "ref": "v9"}), 422, "release/unknown-commit")
    refused(writer.post("/v1/releases", json={"path": "shop"}), 422, "kernel/usage")
    (repository / "main.py").write_text("print('changed')\n")
    refused(writer.post("/v1/releases", json={"path": str(repository)}), 409, "release/dirty-tree")


def test_an_invalid_request_is_answered_with_the_places_that_are_wrong_and_without_its_values(
    writer: httpx.Client,
) -> None:
    answer = writer.post("/v1/releases", json={"path": "/x", "strategy": "hunter2-secret", "colour": "hunter2-secret"})
    problem = refused(answer, 422, "web/invalid-request")
    assert {error["pointer"] for error in problem["errors"]} == {"/strategy", "/colour"}
    assert "hunter2-secret" not in answer.text
    refused(
        writer.post("/v1/releases", content=b"{", headers={"Content-Type": "application/json"}),
        422,
        "web/invalid-request",
    )
    malformed = writer.post("/v1/releases", content=b"{bad", headers={"Content-Type": "application/json"})
    assert "not JSON at character 1" in refused(malformed, 422, "web/invalid-request")["detail"]
    refused(writer.get("/v1/releases/not-an-id"), 422, "web/invalid-request")
    refused(writer.get("/v1/releases", params={"limit": 0}), 422, "web/invalid-request")
    refused(writer.get("/v1/releases", params={"cursor": "???"}), 422, "web/invalid-request")


def test_unknown_addresses_and_methods_are_problems_too(client: httpx.Client) -> None:
    refused(client.get("/v1/nothing"), 404, "web/not-found")
    refused(client.delete("/v1/releases"), 405, "web/method-not-allowed")
    refused(client.get(f"/v1/releases/{uuid4()}"), 404, "web/not-found")
    refused(client.get(f"/v1/environments/{uuid4()}"), 404, "web/not-found")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
def test_pages_of_a_listing_together_are_the_listing(client: httpx.Client, workshop: Workshop, limit: int) -> None:
    environment = workshop.environment()
    wanted = [str(workshop.release(environment, f"v{number}").id) for number in range(7)][::-1]
    assert listed(client, limit) == wanted


def test_no_release_is_lost_between_pages_when_many_were_asked_for_at_once(
    client: httpx.Client, workshop: Workshop
) -> None:
    environment = workshop.environment()
    wanted = {str(workshop.release(environment, f"v{number}").id) for number in range(5)}
    with workshop.db.tenant(workshop.tenant) as connection:
        connection.execute("update releases set created_at = now()")
    found = listed(client, 2)
    assert len(found) == 5
    assert set(found) == wanted


def test_releases_can_be_listed_by_environment(client: httpx.Client, day: Day) -> None:
    listed = client.get("/v1/releases", params={"environment": str(day.environment.id)}).json()["items"]
    assert {release["environment"] for release in listed} == {"production"}
    assert len(listed) == 3


def test_a_release_in_full_has_its_steps_and_the_verdict_with_evidence(client: httpx.Client, day: Day) -> None:
    release = client.get(f"/v1/releases/{day.rejected.id}").json()
    assert [step["name"] for step in release["steps"]][-2:] == ["roll back", "record"]
    assert release["verdict"]["decision"] == "reject"
    assert release["verdict"]["stable"]["label"] == "v2"
    assert release["verdict"]["sentence"] == release["reason"]
    ticks = client.get(f"/v1/releases/{day.rejected.id}/ticks").json()["items"]
    assert sum(tick["canary_errors"] for tick in ticks) == release["verdict"]["canary"]["errors"]
    chart = client.get(f"/v1/releases/{day.rejected.id}/chart.svg")
    assert chart.text.startswith("<svg")
    assert "default-src 'none'" in chart.headers["content-security-policy"]


def test_an_environment_says_what_it_serves_and_where(client: httpx.Client, day: Day) -> None:
    environment = client.get(f"/v1/environments/{day.environment.id}").json()
    assert environment["current_label"] == "v2"
    assert environment["address"] == "http://127.0.0.1:20001"
    assert len(client.get("/v1/environments").json()["items"]) == 3


def test_a_running_release_can_be_promoted_and_aborted_and_an_ended_one_cannot(writer: httpx.Client, day: Day) -> None:
    assert writer.post(f"/v1/releases/{day.running.id}/promote").json()["promote_requested_at"]
    assert writer.post(f"/v1/releases/{day.running.id}/abort").json()["abort_requested_at"]
    refused(writer.post(f"/v1/releases/{day.kept.id}/abort"), 409, "web/release-ended")
    refused(writer.post(f"/v1/releases/{uuid4()}/abort"), 404, "web/not-found")


def test_an_environment_goes_back_to_what_was_kept_before(writer: httpx.Client, day: Day) -> None:
    answer = writer.post(f"/v1/environments/{day.environment.id}/rollback")
    assert answer.status_code == 202, answer.text
    assert (answer.json()["kind"], answer.json()["label"]) == ("rollback", "v1")


def test_a_lock_is_taken_from_the_living_only_by_force(
    writer: httpx.Client, day: Day, database: Database, tenant: UUID
) -> None:
    address = f"/v1/environments/{day.environment.id}/unlock"
    assert writer.post(address, json={}).json() == {"lease": None}
    with database.tenant(tenant) as connection:
        leases.acquire(connection, tenant, day.environment.lease, "worker-1")
    refused(writer.post(address, json={"force": False}), 423, "store/lease-held")
    assert writer.post(address, json={"force": True}).json()["lease"]["owner"] == "worker-1"


def test_another_tenants_releases_and_environments_are_not_there(
    client: httpx.Client, database: Database, day: Day
) -> None:
    foreign = Workshop(database, another_tenant(database))
    theirs = foreign.release(foreign.environment("theirs"), "v1")
    assert records.get(database, foreign.tenant, theirs.id) is not None
    refused(client.get(f"/v1/releases/{theirs.id}"), 404, "web/not-found")
    refused(client.get(f"/v1/environments/{theirs.environment_id}"), 404, "web/not-found")
    assert str(theirs.id) not in client.get("/v1/releases").text


def test_without_a_node_agent_the_output_is_a_clear_problem(client: httpx.Client, day: Day) -> None:
    problem = refused(client.get(f"/v1/environments/{day.environment.id}/log"), 503, "runtime/agent-unreachable")
    assert problem["exit_code"] == 1
    refused(
        client.get(f"/v1/environments/{day.environment.id}/log", params={"after": "x y"}), 422, "web/invalid-request"
    )


def test_the_openapi_document_is_3_1_and_names_every_address_of_the_contract(client: httpx.Client) -> None:
    document = client.get("/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/health", "/v1/register", "/v1/register/risks/{risk_id}", "/v1/register/heatmap.svg", "/v1/projects",
            "/v1/projects/{name}", "/v1/projects/{name}/undelete",
        "/v1/environments", "/v1/environments/{environment_id}", "/v1/environments/{environment_id}/log",
        "/v1/environments/{environment_id}/log/stream", "/v1/environments/{environment_id}/rollback",
        "/v1/environments/{environment_id}/unlock", "/v1/releases", "/v1/releases/{release_id}",
        "/v1/releases/{release_id}/ticks", "/v1/releases/{release_id}/events", "/v1/releases/{release_id}/chart.svg",
        "/v1/releases/{release_id}/abort", "/v1/releases/{release_id}/promote", "/v1/login-links",
        "/v1/drills", "/v1/drills/{row}/runs", "/v1/drill-runs", "/v1/drill-runs/{run_id}",
        "/v1/drill-runs/{run_id}/chart.svg", "/v1/drill-runs/{run_id}/events", "/v1/journals/{sha256}",
        "/v1/evidence", "/v1/evidence/keys", "/v1/evidence/verification", "/v1/evidence/export", "/v1/evidence/{index}",
        "/v1/register/rows/{row_id}", "/v1/register/gate", "/v1/register/export", "/v1/register/schema",
        "/v1/register/trend", "/v1/register/import", "/v1/attestations", "/v1/acceptances", "/v1/incidents",
        "/v1/incidents/{incident_id}", "/v1/incidents/{incident_id}/link", "/v1/incidents/{incident_id}/close",
        "/v1/reviews", "/v1/reviews/agenda", "/v1/reports", "/v1/reports/{report_id}",
        "/v1/reports/{report_id}/advance", "/v1/indicators", "/v1/contacts", "/v1/contacts/{role}",
        "/v1/contacts/{role}/test", "/v1/contacts/{role}/confirm",
        "/v1/incidents/{incident_id}/publish", "/v1/incidents/{incident_id}/withdraw", "/v1/services",
        "/v1/services/{service_id}", "/v1/services/{service_id}/show", "/v1/services/{service_id}/hide",
        "/v1/status", "/v1/status/{tenant}", "/v1/notifications", "/v1/notifications/{notification_id}",
        "/v1/notifications/{notification_id}/again", "/v1/notification-audiences",
        "/v1/quotas", "/v1/quotas/{quota_id}", "/v1/quotas/{quota_id}/chart.svg", "/v1/quotas/{quota_id}/limit",
        "/v1/quotas/{quota_id}/use", "/v1/quotas/{quota_id}/draft", "/v1/quota-requests/{request_id}/send",
        "/v1/quota-requests/{request_id}/drop",
        "/v1/dependencies", "/v1/dependencies/{provider}", "/v1/dependencies/{provider}/freeze",
        "/v1/dependencies/{provider}/thaw", "/metrics",
    }  # fmt: skip
