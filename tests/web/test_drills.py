"""Drills over the API and on their pages: what can be broken, a run with both arms, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from prodsprints.drills import runs
from prodsprints.drills.runner import Runner
from prodsprints.drills.stage import Arm
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.store.database import Database
from prodsprints.web import tokens
from prodsprints.web.app import create_app
from prodsprints.web.identity import SESSION_COOKIE
from prodsprints.web.site import Site
from support_storm import ROW, storm
from support_waiting import eventually
from web.support_drills import ENTRY, Drillroom, arm, with_drills

TWO = pytest.mark.parametrize("entries", [(ENTRY, "support_storm:destructive")], indirect=True, ids=["two-drills"])


@pytest.fixture
def entries(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The drills that the row names."""
    return getattr(request, "param", (ENTRY,))


@pytest.fixture
def furnish(entries: tuple[str, ...]) -> Callable[[Site], Site]:
    return lambda site: with_drills(site, *entries)


@pytest.fixture
def room(settings: Settings, database: Database, tenant: UUID, furnish: Callable[[Site], Site]) -> Drillroom:
    return Drillroom(furnish(create_app(settings, database).state.site), tenant)


@pytest.fixture(autouse=True)
def nothing_waits(database: Database, tenant: UUID) -> Iterator[None]:
    """A runner takes what waits, of whichever test."""
    yield
    with database.tenant(tenant) as connection:
        connection.execute("update drill_runs set status = 'ended', outcome = 'none' where status <> 'ended'")


@pytest.fixture
def browser(serving: str, database: Database, tenant: UUID) -> Iterator[httpx.Client]:
    """Somebody with a session, on our own pages."""
    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    cookies = {SESSION_COOKIE: value}
    with httpx.Client(base_url=serving, cookies=cookies, headers={"Origin": serving}, trust_env=False) as client:
        yield client


def words(page: httpx.Response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["next_step"]
    return problem


@TWO
def test_every_drill_is_listed_with_its_fault_its_peers_and_what_became_of_it_last(
    client: httpx.Client, room: Drillroom
) -> None:
    first, second = client.get("/v1/drills").json()["items"]
    assert (first["row"], first["variant"], first["safety"]) == (ROW, "throttling-storm", "safe")
    assert {peer["peer_class"] for peer in first["peers"]} == {"double", "engine"}
    assert first["last"] is None
    assert second["safety"] == "destructive"
    run = room.ended()
    last = client.get("/v1/drills").json()["items"][0]["last"]
    assert (last["id"], last["outcome"], last["ended"]) == (str(run.id), "held", True)
    assert client.get("/v1/drills", params={"environment": "production"}).json()["items"][0]["last"] is None
    page = client.get("/drills")
    shown = words(page)
    assert "The provider answers 429 to 5 of 10 calls." in shown
    assert 'title="a double of ours, not the real thing">double' in page.text
    assert "Held" in shown
    assert "Log in to break it" in shown
    assert "Break it" in words(client.get("/drills")).replace("Log in to break it", "Break it")


def test_a_drill_that_cannot_be_loaded_says_so_and_hides_no_other(
    settings: Settings, database: Database, tenant: UUID
) -> None:
    from prodsprints.web import drill_list

    site = with_drills(create_app(settings, database).state.site, "support_storm:nothing")
    (one,) = drill_list.offered(site, tenant, "demo")
    assert one.drill is None
    assert "support_storm:nothing" in one.trouble


def test_a_run_shows_both_arms_what_was_measured_and_what_it_did_to_the_row(
    client: httpx.Client, room: Drillroom
) -> None:
    run = room.ended(reason="The control held: all 200 calls were answered.")
    full = client.get(f"/v1/drill-runs/{run.id}").json()
    treatment, placebo = full["arms"]
    assert (treatment["arm"], treatment["calls"], treatment["calls_broken"]) == ("treatment", 240, 0)
    assert placebo["calls_broken"] > 100
    assert [look["holds"] for look in placebo["looks"]] == [True, False, True]
    page = client.get(f"/drill-runs/{run.id}")
    shown = words(page)
    assert "The control held: all 200 calls were answered." in shown
    assert "Broke, as it must" in shown
    assert "must break here" in shown
    assert "Noticed in 12 ms" in shown
    assert "Unproven → Proven" in shown, shown
    assert "Waits are 1/50 of production" in shown
    assert page.text.count('class="drill-chart"') == 2
    assert "<style" not in page.text
    for link in (
        f"/evidence/{run.evidence_index}",
        f"/journals/{run.treatment_journal}",
        f"/journals/{run.placebo_journal}",
    ):
        assert f'href="{link}"' in page.text
        assert client.get(link).status_code == 200


@pytest.mark.parametrize(
    ("outcome", "said"),
    [(Outcome.FAILED, "Failed"), (Outcome.INVALID, "Held, which proves nothing"), (Outcome.NONE, "No verdict")],
)
def test_whatever_became_of_a_run_its_page_says_it(
    client: httpx.Client, room: Drillroom, outcome: Outcome, said: str
) -> None:
    assert said in words(client.get(f"/drill-runs/{room.ended(outcome).id}"))


def test_a_failed_run_moves_a_proven_row_to_failing(client: httpx.Client, room: Drillroom) -> None:
    room.ended()
    failed = room.ended(Outcome.FAILED)
    assert "Proven → Failing" in words(client.get(f"/drill-runs/{failed.id}"))


def test_a_run_that_waits_or_is_played_has_a_page_and_a_chart(client: httpx.Client, room: Drillroom) -> None:
    run = room.asked()
    assert "Waits for its turn" in words(client.get(f"/drill-runs/{run.id}"))
    room.begin(run)
    room.tell(run, arm(Arm.TREATMENT, holds=True), arm(Arm.PLACEBO, holds=False), until=3.0)
    page = client.get(f"/drill-runs/{run.id}")
    assert "Being played" in words(page)
    assert 'aria-current="step">probes' in page.text
    assert 'http-equiv="refresh"' in page.text
    chart = client.get(f"/v1/drill-runs/{run.id}/chart.svg", params={"arm": "placebo"})
    assert chart.headers["content-type"] == "image/svg+xml"
    assert "Placebo: the bare peer" in chart.text
    assert client.get(f"/v1/drill-runs/{run.id}/chart.svg", params={"arm": "third"}).status_code == 422


def test_a_run_whose_worker_died_is_broken_off_and_one_that_was_refused_was_not_played(
    client: httpx.Client, room: Drillroom, database: Database, tenant: UUID
) -> None:
    died, refused_later = room.asked(), room.asked()
    for run in (died, refused_later):
        room.begin(run)
    room.tell(died, arm(Arm.TREATMENT, holds=True), arm(Arm.PLACEBO, holds=False), until=3.0)
    for run in (died, refused_later):
        runs.finish(database, tenant, run.id, worker="w1", outcome=Outcome.NONE, reason="The worker died.")
    shown = client.get(f"/drill-runs/{died.id}")
    assert words(shown).count("Broken off") == 2
    assert "aria-current" not in shown.text.partition("<main")[2]
    assert words(client.get(f"/drill-runs/{refused_later.id}")).count("Not played") == 2


def test_the_events_of_a_run_resume_where_a_reader_left_off_and_end(client: httpx.Client, room: Drillroom) -> None:
    run = room.ended()
    known = client.get(f"/v1/drill-runs/{run.id}/events", params={"follow": False}).json()["items"]
    assert [event["seq"] for event in known] == list(range(1, len(known) + 1))
    half = len(known) // 2
    with client.stream("GET", f"/v1/drill-runs/{run.id}/events", headers={"Last-Event-ID": str(half)}) as stream:
        lines = list(stream.iter_lines())
    ids = [int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")]
    assert ids == list(range(half + 1, len(known) + 1))
    assert json.loads(lines[-2].removeprefix("data: ")) == {"outcome": "held"}


def test_the_runs_are_listed_newest_first_and_page_by_page(client: httpx.Client, room: Drillroom) -> None:
    asked = [str(room.asked().id) for _ in range(3)]
    first = client.get("/v1/drill-runs", params={"limit": 2}).json()
    assert [one["id"] for one in first["items"]] == asked[:0:-1]
    rest = client.get("/v1/drill-runs", params={"cursor": first["next"]}).json()
    assert [one["id"] for one in rest["items"]] == asked[:1]
    assert rest["next"] is None
    assert client.get("/v1/drill-runs", params={"row": "R002.1"}).json()["items"] == []


def test_a_drill_that_is_asked_for_twice_under_one_key_is_one_run(writer: httpx.Client) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first = writer.post(f"/v1/drills/{ROW}/runs", json={}, headers=key)
    assert first.status_code == 202, first.text
    assert (first.json()["environment"], first.json()["status"]) == ("demo", "queued")
    again = writer.post(f"/v1/drills/{ROW}/runs", json={}, headers=key)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert len(writer.get("/v1/drill-runs").json()["items"]) == 1


def test_the_button_posts_what_the_api_does_and_a_second_click_is_the_same_run(browser: httpx.Client) -> None:
    page = browser.get("/drills").text
    form = dict(re.findall(r'name="(id|variant|environment)" value="([^"]+)"', page)[:3])
    for _ in range(2):
        answer = browser.post(f"/drills/{ROW}/runs", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/drill-runs/{form['id']}")
    assert len(browser.get("/v1/drill-runs").json()["items"]) == 1
    assert "Watch it" in words(browser.get("/drills"))


def test_nobody_breaks_anything_without_a_login_or_from_another_site(
    client: httpx.Client, browser: httpx.Client
) -> None:
    refused(client.post(f"/v1/drills/{ROW}/runs", json={}), 401, "web/login-required")
    foreign = browser.post(f"/v1/drills/{ROW}/runs", json={}, headers={"Origin": "http://evil.test"})
    refused(foreign, 403, "web/foreign-origin")


@TWO
def test_what_cannot_be_broken_is_refused_with_the_reason(writer: httpx.Client, room: Drillroom) -> None:
    refused(writer.post("/v1/drills/R999.9/runs", json={}), 404, "register/unknown-risk")
    nothing_yet = refused(writer.post("/v1/drills/R002.1/runs", json={}), 422, "web/no-drill")
    assert "cannot be broken yet" in nothing_yet["detail"]
    refused(writer.post(f"/v1/drills/{ROW}/runs", json={"variant": "unknown"}), 404, "drills/not-found")
    refused(writer.post(f"/v1/drills/{ROW}/runs", json={"environment": "NO SUCH"}), 422, "kernel/usage")
    refused(writer.post(f"/v1/drills/{ROW}/runs", json={"unknown": 1}), 422, "web/invalid-request")
    crash = {"environment": "production", "variant": "crash"}
    destructive = refused(writer.post(f"/v1/drills/{ROW}/runs", json=crash), 409, "drills/refused")
    assert "scratch environments only" in destructive["detail"]
    unlinked = refused(writer.post(f"/v1/drills/{ROW}/runs", json={"environment": "production"}), 409, "drills/refused")
    assert "no placebo" in unlinked["detail"]
    room.ended()
    assert writer.post(f"/v1/drills/{ROW}/runs", json={"environment": "production"}).status_code == 202


def test_more_drills_than_can_wait_are_refused(writer: httpx.Client, room: Drillroom) -> None:
    for _ in range(25):
        room.asked()
    refused(writer.post(f"/v1/drills/{ROW}/runs", json={}), 429, "web/too-many-drills")


def test_nothing_of_another_tenant_is_shown(
    client: httpx.Client, database: Database, settings: Settings, room: Drillroom
) -> None:
    from web.support_workshop import another_tenant

    run = Drillroom(room.site, another_tenant(database)).ended()
    refused(client.get(f"/v1/drill-runs/{run.id}"), 404, "web/not-found")
    refused(client.get(f"/v1/drill-runs/{run.id}/events"), 404, "web/not-found")
    refused(client.get(f"/v1/journals/{run.treatment_journal}"), 404, "web/not-found")
    assert client.get(f"/drill-runs/{run.id}").status_code == 404
    assert client.get("/v1/drill-runs").json()["items"] == []


def test_a_journal_is_readable_and_its_bytes_have_the_hash_that_names_it(client: httpx.Client, room: Drillroom) -> None:
    import hashlib

    run = room.ended()
    content = client.get(f"/v1/journals/{run.placebo_journal}").content
    assert hashlib.sha256(content).hexdigest() == run.placebo_journal
    assert json.loads(content)["deviated"] is True
    shown = words(client.get(f"/journals/{run.placebo_journal}"))
    for part in (
        "Steady state before",
        "Method",
        "Rollbacks",
        "Steady state after",
        "Nothing was looked at afterwards.",
    ):
        assert part in shown
    assert storm.named in shown
    assert client.get(f"/journals/{'0' * 64}").status_code == 404
    assert client.get("/journals/nothing").status_code == 404


def test_what_a_drill_says_is_shown_as_text_and_never_as_markup(client: httpx.Client, room: Drillroom) -> None:
    hostile = "<script>alert(1)</script> `<b>x</b>`"
    run = room.ended(reason=hostile)
    for path in (f"/drill-runs/{run.id}", "/drills", f"/evidence/{run.evidence_index}"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<b>x" not in page


def test_a_real_drill_is_asked_for_played_signed_and_proves_its_row(
    browser: httpx.Client, room: Drillroom, database: Database, settings: Settings
) -> None:
    """With nothing of it written by the test: runner, both arms in processes of their own, sequencer, and the page."""
    form = dict(re.findall(r'name="(id|variant|environment)" value="([^"]+)"', browser.get("/drills").text)[:3])
    address = browser.post(f"/drills/{ROW}/runs", data=form).headers["location"]
    sequencer = Sequencer(database, room.site.keyring, room.site.witness)
    runner = Runner(database, settings, room.site.keyring, room.site.catalog, "w-web-test")
    sequencer.start()
    runner.start()
    try:
        eventually(lambda: browser.get(f"/v1{address}").json()["ended"], seconds=60, every=0.2)
    finally:
        runner.stop()
        sequencer.stop()
    shown = words(browser.get(address))
    assert "Unproven → Proven" in shown, shown
    assert "All 20 calls were answered." in shown
    found = runs.run(database, room.tenant, UUID(form["id"]))
    assert found is not None
    assert browser.get(f"/evidence/{found.evidence_index}").status_code == 200
    assert room.site.assessment(room.tenant, "demo").rows[ROW].status == "proven"
