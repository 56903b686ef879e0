"""The log over the API and on its pages: what it holds, why an entry is in it, and what is said of a tampered one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.ledger import bundle, merkle, people
from prodsprints.ledger.keys import Keys
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres
from prodsprints.web import entries
from prodsprints.web.app import create_app
from prodsprints.web.site import Site
from support_storm import ROW, storm
from web.support_drills import ENTRY, Drillroom, with_drills


@pytest.fixture
def furnish() -> Callable[[Site], Site]:
    return lambda site: with_drills(site, ENTRY)


@pytest.fixture
def room(settings: Settings, database: Database, tenant: UUID, furnish: Callable[[Site], Site]) -> Drillroom:
    return Drillroom(furnish(create_app(settings, database).state.site), tenant)


def words(page: httpx.Response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def attested(room: Drillroom, row: str, *, environment: str = "production", person: str = "") -> Statement:
    said = {
        "tenant": str(room.tenant),
        "environment": environment,
        "row": row,
        "person": person or str(uuid4()),
        "evidence": "sha256:" + "cd" * 32,
        "expires_at": "2036-01-01T00:00:00.000Z",
        "nonce": uuid4().hex,
    }
    return Statement(PredicateType.ATTESTATION, (Subject(row, "cd" * 32),), said)


def as_owner(postgres: EmbeddedPostgres, statement: str, *values: object) -> None:
    """What the owner of the database can do, whom no policy holds back."""
    with psycopg.connect(postgres.admin_address().conninfo, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        assert connection.execute(statement, values).rowcount > 0  # type: ignore[arg-type]


def test_an_empty_log_says_what_to_do_and_that_nobody_outside_knows_it(client: httpx.Client) -> None:
    assert client.get("/v1/evidence").json() == {"items": [], "next": None}
    shown = words(client.get("/evidence"))
    assert "The log is empty" in shown
    assert "No outside witness." in shown
    verification = client.get("/v1/evidence/verification").json()
    assert (verification["size"], verification["intact"], verification["outside_witness"]) == (0, True, False)
    assert client.get("/evidence/0").status_code == 404


def test_an_entry_is_listed_with_what_it_says_and_whose_key_signed_it(client: httpx.Client, room: Drillroom) -> None:
    run = room.ended()
    drill, keys = client.get("/v1/evidence").json()["items"]
    assert drill["index"] == run.evidence_index == 1
    assert (drill["what"], drill["row"], drill["about"]) == ("Drill", ROW, "throttling-storm")
    assert (drill["environment"], drill["outcome"]) == ("demo", "held")
    assert (keys["what"], keys["about"], keys["row"]) == ("Keys", "4 keys", "")
    shown = words(client.get("/evidence"))
    assert drill["key_id"][:8] in shown
    assert "Entries 2" in shown


def test_the_proof_of_an_entry_leads_from_its_envelope_to_the_signed_root(
    client: httpx.Client, room: Drillroom
) -> None:
    for _ in range(3):
        room.say(attested(room, "R003.1"))
    full = client.get("/v1/evidence/2").json()
    proof = full["inclusion"]
    path = [bytes.fromhex(one) for one in proof["path"]]
    root = bytes.fromhex(proof["root"])
    assert merkle.verify_inclusion(bytes.fromhex(proof["leaf"]), 2, proof["size"], path, root)
    assert base64.b64encode(root).decode() in proof["checkpoint"]
    payload = base64.b64decode(full["envelope"]["payload"])
    assert hashlib.sha256(payload).hexdigest() == full["digest"]
    assert json.loads(payload) == full["statement"]
    assert (full["key"]["role"], full["key"]["from_index"], full["key"]["revoked"]) == ("person", 0, None)
    assert full["key"] in client.get("/v1/evidence/keys").json()["keys"]


def test_the_page_of_a_drills_evidence_leads_to_journals_peers_environment_and_signature(
    client: httpx.Client, room: Drillroom
) -> None:
    run = room.ended()
    page = client.get(f"/evidence/{run.evidence_index}")
    shown = words(page)
    full = client.get(f"/v1/evidence/{run.evidence_index}").json()
    for said in (
        "a double of ours, not the real thing",
        "Environment demo",
        "drills: test results",
        full["key"]["id"],
        full["inclusion"]["root"],
        full["inclusion"]["leaf"],
        full["statement"]["subject"][0]["digest"]["sha256"],
        "from entry 0 on",
        storm.named,
    ):
        assert said in shown, said
    for link in (f"/journals/{run.treatment_journal}", f"/journals/{run.placebo_journal}", f"/drill-runs/{run.id}"):
        assert f'href="{link}"' in page.text


def test_a_person_is_named_until_the_name_is_erased_and_the_entry_stays(
    client: httpx.Client, room: Drillroom, database: Database, tenant: UUID
) -> None:
    reference = people.reference(database, tenant, "Grace Hopper")
    entry = room.say(attested(room, "R003.1", person=reference))
    assert "Grace Hopper" in words(client.get(f"/evidence/{entry.index}"))
    people.erase(database, tenant, "Grace Hopper")
    shown = words(client.get(f"/evidence/{entry.index}"))
    assert "Grace Hopper" not in shown
    assert f"{reference} (the name is not kept)" in shown
    assert client.get("/v1/evidence/verification").json()["intact"]


def test_the_log_is_filtered_by_row_by_risk_and_by_environment(client: httpx.Client, room: Drillroom) -> None:
    run = room.ended()
    room.say(attested(room, "R003.1"))
    room.say(attested(room, "R003.2", environment="staging"))

    def found(**query: str) -> list[int]:
        return [one["index"] for one in client.get("/v1/evidence", params=query).json()["items"]]

    assert found(row=ROW) == [run.evidence_index]
    assert found(row="R003") == [3, 2]
    assert found(environment="staging") == [3]
    assert found(row="R003", environment="demo") == []
    page = client.get("/evidence", params={"row": "R003.1"}).text
    assert 'href="/evidence/2"' in page
    assert 'href="/evidence/3"' not in page
    assert "Nothing in the log speaks of that" in words(client.get("/evidence", params={"row": "B001.1"}))


def test_a_row_finds_its_evidence_far_behind_what_is_looked_through(
    client: httpx.Client, room: Drillroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "_LOOKED_THROUGH", 2)
    run = room.ended()
    for _ in range(3):
        room.say(attested(room, "R003.1"))
    assert room.ledger.size() == 5

    def found(**query: str | int) -> list[int]:
        return [one["index"] for one in client.get("/v1/evidence", params=query).json()["items"]]

    assert run.evidence_index == 1
    assert found(row=ROW) == found(row=ROW, environment="demo") == found(row=ROW.partition(".")[0]) == [1]
    assert found(row="R003.1") == [4, 3, 2]
    assert found(row="R003.1", limit=1) == [4]
    assert found(row="R003.1", cursor=4, limit=1) == [3]
    assert found(row=ROW, environment="staging") == []
    assert 'href="/evidence/1"' in client.get(f"/rows/{ROW}?environment=demo").text


def test_the_list_goes_on_page_by_page_to_the_first_entry(client: httpx.Client, room: Drillroom) -> None:
    for number in range(6):
        room.say(attested(room, f"R003.{number % 4 + 1}"))
    seen, cursor = [], None
    while True:
        page = client.get("/v1/evidence", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [one["index"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [6, 5, 4, 3, 2, 1, 0]
    older = client.get("/evidence", params={"before": 3})
    assert 'href="/evidence/2"' in older.text
    assert 'href="/evidence/3"' not in older.text
    assert "Newest entries" in older.text


def test_the_export_verifies_without_this_server(client: httpx.Client, room: Drillroom, tenant: UUID) -> None:
    room.ended()
    room.ended(Outcome.FAILED)
    answer = client.get("/v1/evidence/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="evidence.json"'
    pinned = Keys.from_json(tenant, client.get("/v1/evidence/keys").json()["keys"])
    report = bundle.verify_bundle(answer.content, keys=pinned, checkpoint=None)
    assert (report.size, report.findings) == (3, ())
    some = client.get("/v1/evidence/export", params={"index": [1]})
    assert bundle.verify_bundle(some.content, keys=pinned, checkpoint=None).findings == ()
    assert client.get("/v1/evidence/export", params={"index": [99]}).json()["code"] == "ledger/no-such-entry"


def test_a_tampered_log_is_shown_as_that_everywhere_and_nothing_of_it_is_relied_on(
    client: httpx.Client, room: Drillroom, postgres: EmbeddedPostgres, tenant: UUID
) -> None:
    run = room.ended()
    assert room.site.assessment(tenant, "demo").rows[ROW].status == "proven"
    as_owner(
        postgres,
        "update ledger_statements"
        " set envelope = convert_to(replace(convert_from(envelope, 'UTF8'), 'eyJ', 'eyK'), 'UTF8')"
        " where tenant_id = %s and id = (select max(id) from ledger_statements where tenant_id = %s)",
        tenant,
        tenant,
    )
    problem = client.get("/v1/evidence").json()
    assert problem["code"] == "ledger/tampered"
    assert "evidence verify" in problem["next_step"]
    page = client.get("/evidence")
    assert page.status_code == 200
    assert 'class="sentence bad"' in page.text
    assert "No entry is shown of a log that cannot be relied on." in words(page)
    assert client.get(f"/evidence/{run.evidence_index}").status_code == 500
    verification: dict[str, Any] = client.get("/v1/evidence/verification").json()
    assert not verification["intact"]
    assert verification["findings"][0]["index"] == run.evidence_index
    assert "Not what was signed" in words(client.get("/evidence/verification"))
    assert room.site.assessment(tenant, "demo").rows[ROW].status == "invalid"


def test_the_whole_log_is_not_verified_again_for_everybody_who_looks(client: httpx.Client, room: Drillroom) -> None:
    room.ended()
    first = client.get("/v1/evidence/verification").json()
    room.ended()
    assert client.get("/v1/evidence/verification").json() == first


def test_nothing_of_another_tenants_log_is_shown(client: httpx.Client, room: Drillroom, database: Database) -> None:
    from web.support_workshop import another_tenant

    Drillroom(room.site, another_tenant(database)).ended()
    assert client.get("/v1/evidence").json()["items"] == []
    assert client.get("/v1/evidence/1").json()["code"] == "ledger/no-such-entry"


@pytest.mark.parametrize("path", ["/evidence/99", "/evidence/-1", "/evidence/one", "/evidence/1/2"])
def test_an_entry_that_is_not_there_is_a_page_that_says_so(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 404
    assert "<nav" in page.text


def test_what_a_statement_says_is_shown_as_text_and_never_as_markup(client: httpx.Client, room: Drillroom) -> None:
    hostile = "<script>alert(1)</script>"
    said = {"tenant": str(room.tenant), "person": hostile, "action": hostile, "subject": hostile, "nonce": "1"}
    said["at"] = "2026-01-01T00:00:00.000Z"
    entry = room.say(Statement(PredicateType.OPERATION, (Subject(hostile, "ab" * 32),), said))
    for path in ("/evidence", f"/evidence/{entry.index}"):
        assert "<script>alert" not in client.get(path).text


@pytest.mark.parametrize("drill", [{}, {"peers": 1, "measured": 2}, {"peers": [{"class": "none such"}]}])
def test_evidence_of_another_shape_than_drills_write_has_a_page_with_all_it_says(
    client: httpx.Client, room: Drillroom, drill: dict[str, Any]
) -> None:
    said = {"result": "PASSED", "drill": {"tenant": str(room.tenant), "nonce": uuid4().hex, "odd": "word", **drill}}
    entry = room.say(Statement(PredicateType.TEST_RESULT, (Subject(ROW, "ab" * 32),), said))
    page = client.get(f"/evidence/{entry.index}")
    assert page.status_code == 200
    assert "odd word" in words(page)
    assert client.get("/evidence").status_code == 200


def test_without_its_keys_a_log_is_said_to_be_unreliable(
    client: httpx.Client, room: Drillroom, settings: Settings, tenant: UUID
) -> None:
    room.ended()
    (settings.home / "secrets" / "keys" / f"{tenant}.json").rename(settings.home / "secrets" / f"{tenant}.lost")
    assert "has no keys for the log" in words(client.get("/evidence"))
    assert client.get("/v1/evidence").json()["code"] == "ledger/key-lost"
    refused = client.get("/drills")
    assert refused.status_code == 200
