"""The public status page: what anybody may read, nothing else, and the same for everybody."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4
from xml.etree import ElementTree

import httpx
import pytest

from prodsprints.controls.integrations import services
from prodsprints.kernel import clock
from prodsprints.kernel.settings import Settings
from prodsprints.store.address import Address
from prodsprints.store.database import Database
from prodsprints.web.app import create_app
from prodsprints.web.hosts import Hosts
from prodsprints.web.pages.status import headline
from prodsprints.web.site import Site
from support_waiting import eventually
from web.conftest import Furnish
from web.support_governance import form_id, words
from web.support_status import FAILED, WELL, declare, furnished, incident, saw, tell

ATOM = "{http://www.w3.org/2005/Atom}"
PUBLIC = ("/status", "/status/feed.atom", "/v1/status")


@pytest.fixture
def now() -> datetime:
    return clock.now()


@pytest.fixture
def full(database: Database, settings: Settings, tenant: UUID, now: datetime) -> UUID:
    furnished(database, settings, tenant, now)
    return tenant


@pytest.fixture
def other(database: Database) -> tuple[UUID, str]:
    name = f"o-{uuid4().hex[:12]}"
    with database.dispatch() as connection:
        row = connection.execute("insert into tenants (name) values (%s) returning id", [name]).fetchone()
    assert row is not None
    return row["id"], name


def test_the_page_says_how_each_public_service_is(client: httpx.Client, full: UUID) -> None:
    page = client.get("/status")
    text = words(page)
    assert page.status_code == 200
    assert "Mails and Search are down or degraded. 1 service is not measured" in text
    for shown in ("Shop Works", "Search Down", "Mails Degraded", "Queue Not measured", "It did not answer in time."):
        assert shown in text
    assert page.text.count('class="history-bars"') == 4
    assert "Search is disturbed" in text and "A disk is full. We make room." in text
    assert text.index("Incidents that are open") < text.index("Incidents that are over") < text.index("Orders are late")


def test_nothing_private_is_to_be_seen_in_any_form(
    client: httpx.Client, full: UUID, settings: Settings, database: Database
) -> None:
    with database.tenant(full) as connection:
        rows = connection.execute("select id from watched_services where not is_public").fetchall()
    private = (
        "intern-7f3a", "8443", "Hidden", "db-7", "Inner", "ACME", "Never published", "ada", "R001", "demo", str(full),
        settings.node + "-", *(str(row["id"]) for row in rows),
    )  # fmt: skip
    for path in PUBLIC:
        said = client.get(path)
        for secret in private:
            assert secret not in said.text, (path, secret)
        assert "set-cookie" not in said.headers


def test_the_answer_is_the_same_for_everybody_and_may_be_kept_by_none_without_asking(
    client: httpx.Client, writer: httpx.Client, full: UUID
) -> None:
    for path in PUBLIC:
        plain = client.get(path)
        assert plain.headers["cache-control"] == "public, no-cache"
        assert plain.headers["etag"]
        for strange in ({"Cookie": "prodsprints_session=nonsense"}, {"Authorization": "Bearer nonsense"}):
            assert client.get(path, headers=strange).status_code == 200
    feed = client.get("/status/feed.atom")
    same = client.get("/status/feed.atom", headers={"If-None-Match": feed.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert writer.get("/status/feed.atom").content == feed.content


class TestOpenToTheNetwork:
    @pytest.fixture
    def furnish(self) -> Furnish:
        """A server that listens beyond loopback asks for a login."""

        def beyond(site: Site) -> Site:
            hosts = Hosts(replace(site.settings, host="127.0.0.1"))
            hosts.loopback_only = False
            return replace(site, hosts=hosts)

        return beyond

    def test_the_status_page_needs_no_login_and_the_rest_does(self, client: httpx.Client) -> None:
        for path in PUBLIC:
            assert client.get(path).status_code == 200, path
        for path in ("/services", "/v1/services", "/incidents", "/", "/v1/incidents"):
            assert client.get(path).status_code == 401, path


def test_the_feed_is_atom_as_rfc_4287_wants_it(client: httpx.Client, full: UUID) -> None:
    answer = client.get("/status/feed.atom")
    assert answer.headers["content-type"].partition(";")[0] == "application/atom+xml"
    root = parsed(answer.content)
    assert root.tag == f"{ATOM}feed"
    check_entry(root, with_author=True)
    links = {link.get("rel"): link.get("href") for link in root.findall(f"{ATOM}link")}
    assert links["self"] == f"{client.base_url}/status/feed.atom"
    assert links["alternate"] == f"{client.base_url}/status"
    entries = root.findall(f"{ATOM}entry")
    titles = [entry.findtext(f"{ATOM}title") for entry in entries]
    assert {"Search is down", "Mails is degraded", "Search is disturbed: identified"} <= set(titles)
    assert "Queue was down; its end was not seen" in titles
    assert len(titles) == 7
    for entry in entries:
        check_entry(entry)
        assert entry.find(f"{ATOM}link[@rel='alternate']") is not None
        assert entry.findtext(f"{ATOM}content")
    ids = [element.text for element in root.iter(f"{ATOM}id")]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"tag:[a-z.]+,\d{4}:[\w/-]+", str(id)) for id in ids)
    updated = [str(entry.findtext(f"{ATOM}updated")) for entry in entries]
    assert updated == sorted(updated, reverse=True)
    assert root.findtext(f"{ATOM}updated") == max(updated)
    page = client.get("/status").text
    for entry in entries:
        link = entry.find(f"{ATOM}link[@rel='alternate']")
        assert link is not None
        assert f'id="{str(link.get("href")).partition("#")[2]}"' in page


def parsed(document: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(document)  # noqa: S314 - our own


def check_entry(element: ElementTree.Element, *, with_author: bool = False) -> None:
    """Exactly one id, title and updated; times as RFC 3339 has them."""
    for name in ("id", "title", "updated"):
        assert len(element.findall(f"{ATOM}{name}")) == 1, name
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", str(element.findtext(f"{ATOM}updated")))
    if with_author:
        assert element.findtext(f"{ATOM}author/{ATOM}name")


def test_ids_stay_while_an_outage_goes_on_and_ends(
    client: httpx.Client, database: Database, tenant: UUID, now: datetime
) -> None:
    shop = declare(database, tenant, "Shop & <sons>")
    began = now - timedelta(minutes=10)
    saw(database, tenant, shop, began, WELL, FAILED, FAILED, words="It answered 500 in place of 2xx.")
    before = parsed(client.get("/status/feed.atom").content)
    saw(database, tenant, shop, began + timedelta(minutes=4), WELL, WELL)
    client.get("/v1/status")

    def after() -> ElementTree.Element:
        return parsed(client.get("/status/feed.atom").content)

    eventually(lambda: after().findtext(f"{ATOM}entry/{ATOM}title") == "Shop & <sons> was down", every=0.2)
    for name in ("id", f"entry/{ATOM}id"):
        assert before.findtext(f"{ATOM}{name}") == after().findtext(f"{ATOM}{name}")
    assert str(before.findtext(f"{ATOM}entry/{ATOM}updated")) < str(after().findtext(f"{ATOM}entry/{ATOM}updated"))


def test_an_empty_page_says_so_and_its_feed_is_valid(client: httpx.Client) -> None:
    assert "No service is shown here yet." in words(client.get("/status"))
    check_entry(parsed(client.get("/status/feed.atom").content), with_author=True)
    assert client.get("/v1/status").json()["level"] == "unknown"


def test_a_service_that_nobody_looks_at_is_not_called_well(
    client: httpx.Client, database: Database, tenant: UUID, now: datetime
) -> None:
    shop = declare(database, tenant, "Shop", every=30.0)
    saw(database, tenant, shop, now - timedelta(hours=2), WELL, WELL, step=20)
    text = words(client.get("/status"))
    assert "1 service is not measured at present" in text and "Shop Not measured" in text
    found = client.get("/v1/status").json()["services"][0]
    assert found["level"] == "unknown"
    assert found["available_percent"] == 100.0
    assert found["measured_percent"] < 0.01
    assert sum(day["up_seconds"] for day in found["days"]) == 20.0


def test_another_tenant_has_a_page_of_its_own_and_none_while_nothing_is_public(
    client: httpx.Client, database: Database, other: tuple[UUID, str], full: UUID
) -> None:
    tenant, name = other
    unknown, nothing = client.get("/status/nobody-here"), client.get(f"/status/{name}")
    assert (unknown.status_code, nothing.status_code) == (404, 404)
    assert words(unknown).replace("nobody-here", "") == words(nothing).replace(name, "")
    assert client.get(f"/v1/status/{name}").json()["code"] == "web/not-found"
    declare(database, tenant, "Theirs")
    page = eventually(lambda: (answer := client.get(f"/status/{name}")).status_code == 200 and answer, every=0.2)
    assert "Theirs" in page.text and "Shop" not in page.text and f"Status of {name}" in page.text
    assert "Theirs" not in client.get("/status").text
    assert client.get(f"/status/{name}/feed.atom").status_code == 200
    for strange in ("/status/..%2fservices", "/status/NAME", "/status/a%00b", "/status/x/y"):
        assert client.get(strange).status_code in {404, 422}, strange


def test_what_is_wrong_with_a_service_is_said_as_a_problem(writer: httpx.Client) -> None:
    for body, code in (
        ({"name": "a", "url": "nonsense"}, "integrations/service-input"),
        ({"name": "a", "url": "file:///etc/passwd"}, "integrations/service-input"),
        ({"name": "a", "url": "gopher://x.example/"}, "integrations/service-input"),
        ({"name": "a", "url": "https://ada:secret@x.example/"}, "integrations/service-input"),
        ({"name": "a", "url": "http://169.254.169.254/latest"}, "integrations/forbidden-address"),
        ({"name": "a", "url": "https://x.example/", "interval_seconds": 0}, "integrations/service-input"),
        ({"name": "a", "url": "https://x.example/", "interval_seconds": -3}, "integrations/service-input"),
        ({"name": "a", "url": "https://x.example/", "interval_seconds": "x"}, "web/invalid-request"),
        ({"name": "a", "url": "https://x.example/", "unknown": 1}, "web/invalid-request"),
        ({"name": "", "url": "https://x.example/"}, "kernel/usage"),
    ):
        answer = writer.post("/v1/services", json=body)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, code), body
        assert problem["next_step"] and "secret" not in answer.text
    nan = writer.post(
        "/v1/services",
        content='{"name": "a", "url": "https://x.example/", "interval_seconds": NaN}',
        headers={"Content-Type": "application/json"},
    )
    assert nan.status_code == 422


def test_a_service_is_declared_once_shown_hidden_and_unwatched(writer: httpx.Client, client: httpx.Client) -> None:
    body = {"name": "Shop", "url": "https://8.8.8.8/health"}
    key = {"Idempotency-Key": str(uuid4())}
    made = writer.post("/v1/services", json=body, headers=key)
    assert made.status_code == 201
    assert writer.post("/v1/services", json=body, headers=key).json() == made.json()
    assert writer.post("/v1/services", json=body).json()["code"] == "integrations/name-taken"
    at = f"/v1/services/{made.json()['id']}"
    assert client.post(f"{at}/show").status_code == 401
    assert writer.post(f"{at}/show").json()["public"] is True
    assert writer.post(f"{at}/hide").json()["public"] is False
    assert writer.delete(at).status_code == 200
    assert writer.delete(at).json()["code"] == "integrations/unknown-service"
    assert client.get("/v1/services").json()["items"] == []


def test_publishing_is_an_act_and_can_be_taken_back(
    writer: httpx.Client, client: httpx.Client, database: Database, settings: Settings, tenant: UUID
) -> None:
    id = incident(database, settings, tenant)
    assert client.post(f"/v1/incidents/{id}/publish", json={"words": "Hello."}).status_code == 401
    for body, code in (
        ({"words": ""}, "kernel/usage"),
        ({"words": "password=hunter2hunter2"}, "incidents/input"),
        ({"words": "x", "stage": "fine"}, "web/invalid-request"),
    ):
        assert writer.post(f"/v1/incidents/{id}/publish", json=body).json()["code"] == code
    assert writer.post(f"/v1/incidents/{uuid4()}/publish", json={"words": "x"}).status_code == 404
    assert writer.post(f"/v1/incidents/{id}/withdraw").json()["code"] == "incidents/not-published"
    told = writer.post(f"/v1/incidents/{id}/publish", json={"words": "Hello.", "title": "All is slow"}).json()
    assert (told["title"], told["stage"], len(told["updates"])) == ("All is slow", "investigating", 1)
    told = writer.post(f"/v1/incidents/{id}/publish", json={"words": "Better.", "stage": "resolved"}).json()
    assert (told["title"], [update["words"] for update in told["updates"]]) == ("All is slow", ["Better.", "Hello."])
    assert writer.post(f"/v1/incidents/{id}/withdraw").status_code == 200
    assert "All is slow" not in client.get("/status").text


def test_the_page_of_services_keeps_what_was_typed_and_acts(
    client: httpx.Client, database: Database, tenant: UUID, serving: str
) -> None:
    from prodsprints.web import tokens
    from prodsprints.web.identity import SESSION_COOKIE

    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    with httpx.Client(
        base_url=serving, cookies={SESSION_COOKIE: value}, headers={"Origin": serving}, trust_env=False
    ) as browser:
        for typed, said in (
            ({"name": "Shop", "url": "nonsense"}, "neither http:// nor https://"),
            ({"name": "Shop", "url": "https://8.8.8.8/", "every": "often"}, "is no interval"),
            ({"name": "Shop", "url": "https://8.8.8.8/", "every": "nan"}, "is not possible"),
            ({"name": "Shop", "url": "https://8.8.8.8/", "expected": "inf"}, "is no status"),
        ):
            page = browser.post("/services", data={"id": form_id(browser.get("/services")), **typed})
            assert page.status_code == 422 and said in words(page), typed
            assert f'value="{typed["url"]}"' in page.text
        form = {
            "id": form_id(browser.get("/services")),
            "name": "Shop",
            "url": "https://8.8.8.8/health",
            "public": "yes",
        }
        assert browser.post("/services", data=form).status_code == 303
        made = services.services(database, tenant)[0]
        assert (made.name, made.is_public) == ("Shop", True)
        browser.post(f"/services/{made.id}/hide")
        assert not services.services(database, tenant)[0].is_public
        browser.post(f"/services/{made.id}/unwatch")
        assert services.services(database, tenant) == []
    assert "You are reading" in words(client.get("/services"))


def test_the_headline_never_calls_well_what_is_not_measured(full: UUID, database: Database) -> None:
    from prodsprints.controls.integrations import status_page

    page = status_page.read(database, full)
    only = [one for one in page.services if one.name in {"Shop", "Queue"}]
    assert headline(replace(page, services=tuple(only))).tone == "idle"
    assert headline(replace(page, services=tuple(only[1:]))).words == "It works."
    assert headline(replace(page, services=())).tone == "idle"


def test_without_its_database_the_page_says_that_nobody_can_say(settings: Settings) -> None:
    away = Database(Address.parse("postgresql://nobody@127.0.0.1:1/none"), patience_seconds=0.0)

    async def visit(*paths: str) -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(settings, away))
        async with httpx.AsyncClient(transport=transport, base_url=settings.address) as visitor:
            return [await visitor.get(path) for path in paths]

    try:
        page, said = asyncio.run(visit("/status", "/v1/status"))
    finally:
        away.close()
    assert (page.status_code, page.headers["cache-control"]) == (503, "no-store")
    assert "nobody can say" in page.text
    assert said.json()["code"] == "store/database-unavailable"


def test_what_is_told_is_never_taken_for_marks(
    client: httpx.Client, database: Database, settings: Settings, tenant: UUID
) -> None:
    id = incident(database, settings, tenant)
    tell(database, tenant, id, "investigating", "<script>alert(1)</script> & ]]>", "<b>Bold</b>")
    declare(database, tenant, "<img src=x>")
    page = client.get("/status").text
    assert "<script>alert" not in page and "<b>Bold" not in page and "<img src=x" not in page
    entry = parsed(client.get("/status/feed.atom").content).find(f"{ATOM}entry")
    assert entry is not None
    assert entry.findtext(f"{ATOM}content") == "<script>alert(1)</script> & ]]>"
