"""Dependencies over the API, on their page and in a scrape; who may freeze, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from controls.providers.quotas.support_quotas import followed
from controls.providers.support_sightings import World
from prodsprints.controls.providers.quotas.model import Place
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database
from prodsprints.web import tokens
from prodsprints.web.app import create_app
from prodsprints.web.site import Site
from web.support_sightings import Providers, day


@pytest.fixture
def providers(database: Database) -> Iterator[Providers]:
    one = Providers(database)
    yield one
    one.take_down()


@pytest.fixture
def stranger(serving: str, database: Database) -> Iterator[httpx.Client]:
    """Somebody with a token of a tenant that does not run this platform."""
    with database.dispatch() as connection:
        row = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"]
        ).fetchone()
    assert row is not None
    token = tokens.mint(database, row["id"], actor="mallory", purpose="api", seconds=60).value
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=serving, trust_env=False, headers=headers) as client:
        yield client


def place(name: str) -> str:
    return f"/dependencies/{quote(name, safe='')}"


def test_each_provider_says_how_it_is(client: httpx.Client, providers: Providers) -> None:
    day(providers)
    ours = {
        one["name"]: one
        for one in client.get("/v1/dependencies").json()["items"]
        if one["name"].endswith(providers._tag)
    }
    broken = ours[providers.name("slack")]
    assert broken["circuit"] == "open"
    assert broken["trips"] == 1
    assert len(broken["last_trips"]) == 1
    assert broken["rejections"] == {"circuit-open": 5}
    assert broken["is_fresh"] is True
    fine = ours[providers.name("github")]
    assert fine["circuit"] == "closed"
    assert fine["outcomes"] == {"succeeded": 80, "failed": 2}
    assert fine["p95_seconds"] == 0.5
    assert fine["rate_limit"] == 40
    assert fine["limit"] == 1000
    assert len(fine["slots"]) == 60
    assert [scope["keys"] for scope in fine["scopes"]] == [["main"], ["spare"]]
    assert all(scope["is_shared"] for scope in fine["scopes"])
    assert [process["worker"] for process in fine["processes"]] == [providers.worker]


def test_one_provider_whose_name_has_a_slash(client: httpx.Client, providers: Providers) -> None:
    day(providers)
    name = providers.name("aws-sts/4711 eu")
    assert client.get(f"/v1{place(name)}").json()["throttled"] == 1
    assert client.get(place(name)).status_code == 200


def test_a_provider_that_nobody_calls_is_not_found_in_words(client: httpx.Client, providers: Providers) -> None:
    day(providers)
    answer = client.get(f"/v1{place(providers.name('gihtub'))}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "providers/unknown-dependency"
    assert f"did you mean `{providers.name('github')}`" in answer.json()["next_step"]
    page = client.get(place("nobody"))
    assert page.status_code == 404
    assert "No process of this platform calls" in page.text


def test_freezing_stops_the_fleet_is_audited_and_shows_at_once(
    writer: httpx.Client, providers: Providers, database: Database
) -> None:
    world = day(providers)["github"]
    name = world.guard.name
    answer = writer.post(f"/v1{place(name)}/freeze", json={"seconds": 600})
    assert answer.status_code == 200
    scopes = answer.json()["scopes"]
    assert all(590 < scope["frozen_seconds"] <= 600 for scope in scopes)
    assert answer.json()["by_hand"][0]["actor"] == "ada"
    with database.dispatch() as connection:
        rows = connection.execute(
            "select scope from fleet_buckets where scope like %s and frozen_until > now()", [f"{name}/%"]
        )
        assert rows.rowcount == 2
    providers.tell(world)  # a process that has not heard of it yet changes nothing
    assert "frozen for" in writer.get(place(name)).text
    thawed = writer.post(f"/v1{place(name)}/thaw", json={"key": "main"})
    cold = {scope["name"]: scope["frozen_seconds"] for scope in thawed.json()["scopes"]}
    assert cold["main"] == 0
    assert cold["other"] > 590


def test_what_was_done_by_hand_stands_in_the_audit_log(
    writer: httpx.Client, providers: Providers, settings: Settings, database: Database, tenant: UUID
) -> None:
    name = day(providers)["github"].guard.name
    writer.post(f"/v1{place(name)}/freeze", json={"seconds": 60, "key": "main"})
    writer.post(f"/v1{place(name)}/thaw", json={})
    Sequencer(database, Keyring.open(settings.home), Witness.open(settings)).sequence(tenant)
    site: Site = create_app(settings, database).state.site
    assert [(one.person, one.action, one.subject) for one in site.audit(tenant).operations()] == [
        ("ada", "freeze for 60 s", f"key main of dependency {name}"),
        ("ada", "thaw", f"dependency {name}"),
    ]


@pytest.mark.parametrize("seconds", ["0", "-5", "NaN", "Infinity", "31536000", "1e400"])
def test_a_time_that_cannot_be_meant_is_refused_in_words(
    writer: httpx.Client, providers: Providers, seconds: str
) -> None:
    name = day(providers)["github"].guard.name
    answer = writer.post(
        f"/v1{place(name)}/freeze",
        content=f'{{"seconds": {seconds}}}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["next_step"]
    assert "frozen" in answer.json()["detail"]
    assert writer.get(f"/v1{place(name)}").json()["by_hand"] == []


@pytest.mark.parametrize("body", [{}, {"seconds": "soon"}, {"seconds": 5, "keys": "x"}, {"seconds": 5, "key": "nokey"}])
def test_what_is_no_freeze_is_refused(writer: httpx.Client, providers: Providers, body: dict[str, Any]) -> None:
    name = day(providers)["github"].guard.name
    answer = writer.post(f"/v1{place(name)}/freeze", json=body)
    assert answer.status_code in {404, 422}
    assert answer.json()["next_step"]


def test_only_whoever_runs_the_platform_sees_and_freezes(
    stranger: httpx.Client, client: httpx.Client, providers: Providers
) -> None:
    name = day(providers)["github"].guard.name
    for path in ("/v1/dependencies", f"/v1{place(name)}", "/metrics"):
        answer = stranger.get(path)
        assert answer.status_code == 403
        assert answer.json()["code"] == "web/not-operator"
    assert stranger.get("/dependencies").status_code == 403
    for act, body in (("freeze", {"seconds": 60}), ("thaw", {})):
        assert stranger.post(f"/v1{place(name)}/{act}", json=body).status_code == 403
        assert client.post(f"/v1{place(name)}/{act}", json=body).status_code == 401
    assert client.get(f"/v1{place(name)}").json()["by_hand"] == []


def test_buckets_of_single_processes_cannot_be_frozen_for_all(writer: httpx.Client, providers: Providers) -> None:
    world = World(providers.name("local"))
    providers.tell(world, own=True)
    answer = writer.post(f"/v1{place(world.guard.name)}/freeze", json={"seconds": 60})
    assert answer.status_code == 409
    assert answer.json()["code"] == "providers/not-shared"
    assert "cannot be frozen by hand" in writer.get(place(world.guard.name)).text


def test_a_freeze_that_is_sent_twice_acts_once(writer: httpx.Client, providers: Providers) -> None:
    name = day(providers)["github"].guard.name
    for _ in range(2):
        answer = writer.post(f"/v1{place(name)}/freeze", json={"seconds": 60}, headers={"Idempotency-Key": f"k-{name}"})
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert len(writer.get(f"/v1{place(name)}").json()["by_hand"]) == 2  # one act for each of its two scopes


def test_a_scrape_has_every_process_that_is_alive(client: httpx.Client, providers: Providers) -> None:
    worlds = day(providers)
    providers.tell(worlds["github"], worker=f"{providers.worker}-2")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in parse(answer.text)}
    name = providers.name("github")
    counted = {
        sample.labels["worker"]: sample.value
        for sample in families["guard_call_duration_seconds"].samples
        if sample.name.endswith("_count") and (sample.labels["name"], sample.labels["outcome"]) == (name, "succeeded")
    }
    assert counted == {providers.worker: 80, f"{providers.worker}-2": 80}
    assert "sesame" not in answer.text
    providers.age(40)
    assert f'worker="{providers.worker}"' not in client.get("/metrics").text


def test_who_is_not_heard_of_says_since_when(client: httpx.Client, providers: Providers) -> None:
    name = day(providers)["github"].guard.name
    providers.age(40)
    for page in (client.get("/dependencies").text, client.get(place(name)).text):
        assert re.search(r"ast heard( of)? [4-9]\d s ago", page)


def test_the_quota_that_is_exhausted_first_stands_beside_its_provider(
    client: httpx.Client, providers: Providers, database: Database, tenant: UUID
) -> None:
    day(providers)
    quota = followed(database, tenant, [20.0 + day for day in range(60)], place=Place("aws", "4711", "", "sts", "x"))
    said = client.get(f"/v1{place(providers.name('aws-sts/4711 eu'))}").json()["quota"]
    assert said["id"] == str(quota.id)
    assert said["seconds"] > 86_400
    assert client.get(f"/v1{place(providers.name('github'))}").json()["quota"] is None


def test_a_board_without_anybody_says_what_will_appear(client: httpx.Client, database: Database) -> None:
    with database.dispatch() as connection:
        connection.execute("delete from guard_sightings")
    page = client.get("/dependencies")
    assert page.status_code == 200
    assert "No process has called anybody yet" in page.text
    assert client.get("/v1/dependencies").json()["items"] == []
    assert "guard_circuit_state{" not in client.get("/metrics").text


def test_names_are_shown_as_text_and_never_as_markup(client: httpx.Client, providers: Providers) -> None:
    world = World(providers.name('<script>alert("1")</script>'))
    providers.tell(world)
    for path in ("/dependencies", place(world.guard.name)):
        page = client.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text


def test_reading_shows_no_buttons(client: httpx.Client, providers: Providers) -> None:
    page = client.get(place(day(providers)["github"].guard.name))
    assert "to freeze or thaw it" in page.text
    assert 'method="post" action="/dependencies' not in page.text
