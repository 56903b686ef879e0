from __future__ import annotations

import json
import logging
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from prodsprints.kernel.settings import Settings
from prodsprints.store.address import Address
from prodsprints.store.database import Database
from prodsprints.web import tokens
from prodsprints.web.app import create_app
from prodsprints.web.identity import SESSION_COOKIE
from web.support_workshop import Day


def at(app: FastAPI, address: str = "http://127.0.0.1:8900") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=address)


@pytest.fixture
def session(client: httpx.Client, database: Database, tenant: UUID) -> httpx.Client:
    """A browser that is logged in."""
    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    client.cookies.set(SESSION_COOKIE, value)
    return client


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8900", "127.0.0.1:1", "169.254.169.254"])
def test_a_foreign_host_name_gets_nothing(client: httpx.Client, host: str) -> None:
    for path in ("/", "/v1/releases", "/static/style.css"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 421
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_answer_carries_the_security_headers(client: httpx.Client) -> None:
    for path in ("/", "/v1/health", "/nothing", "/v1/nothing", "/static/style.css", "/login"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "unsafe-inline" not in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_a_body_beyond_64_kib_is_refused_whether_it_says_its_length_or_not(writer: httpx.Client) -> None:
    large = json.dumps({"path": "/" + "x" * 70_000}).encode()
    announced = writer.post("/v1/releases", content=large)
    streamed = writer.post("/v1/releases", content=(large[at : at + 8192] for at in range(0, len(large), 8192)))
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert answer.json()["code"] == "web/body-too-large"


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic YWRhOmFkYQ==", "Bearer prodsprints_api_x"])
def test_a_wrong_token_is_refused_also_where_reading_is_free(client: httpx.Client, header: str) -> None:
    answer = client.get("/v1/releases", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["code"] == "web/login-required"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "redacted" not in answer.json()["next_step"], "our own words are no secret"


def test_whatever_changes_something_needs_to_know_who_asks(client: httpx.Client, day: Day) -> None:
    for path in (
        "/v1/releases",
        "/v1/login-links",
        f"/v1/releases/{day.running.id}/abort",
        f"/v1/releases/{day.running.id}/promote",
        f"/v1/environments/{day.environment.id}/rollback",
        f"/v1/environments/{day.environment.id}/unlock",
        f"/releases/{day.running.id}/abort",
        f"/releases/{day.running.id}/promote",
        f"/environments/{day.environment.id}/rollback",
        f"/environments/{day.environment.id}/unlock",
    ):
        assert client.post(path, json={"path": "/x"}).status_code in {401, 422}, path
    shown = client.get(f"/v1/releases/{day.running.id}").json()
    assert shown["abort_requested_at"] is shown["promote_requested_at"] is None


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1"])
def test_a_session_acts_only_from_our_own_pages(session: httpx.Client, day: Day, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    answer = session.post(f"/v1/releases/{day.running.id}/abort", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == "web/foreign-origin"
    ours = str(session.base_url).rstrip("/")
    assert session.post(f"/v1/releases/{day.running.id}/abort", headers={"Origin": ours}).status_code == 202


def test_a_login_link_logs_in_once_by_a_post_and_logging_out_ends_the_session(
    writer: httpx.Client, serving: str, day: Day
) -> None:
    link = writer.post("/v1/login-links").json()["url"]
    assert link.startswith(f"{serving}/login/")
    code = link.rsplit("/", 1)[-1]
    origin = {"Origin": serving}
    with httpx.Client(base_url=serving, headers=origin, trust_env=False) as browser:
        for _ in range(3):
            assert "Log in here" in browser.get(link).text
        welcome = browser.post("/login", data={"code": code})
        assert welcome.status_code == 303
        cookie = welcome.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        again = browser.post("/login", data={"code": code})
        assert again.status_code == 410
        assert browser.post(f"/v1/releases/{day.running.id}/abort").status_code == 202
        assert browser.post("/v1/login-links").status_code == 401
        stolen = browser.cookies[SESSION_COOKIE]
        browser.post("/logout")
    with httpx.Client(base_url=serving, headers=origin, cookies={SESSION_COOKIE: stolen}, trust_env=False) as thief:
        assert thief.post(f"/v1/releases/{day.running.id}/abort").status_code == 401


def test_a_foreign_page_cannot_log_somebody_in(writer: httpx.Client, serving: str) -> None:
    code = writer.post("/v1/login-links").json()["url"].rsplit("/", 1)[-1]
    answer = httpx.post(
        f"{serving}/login", data={"code": code}, headers={"Origin": "http://evil.example"}, trust_env=False
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def _get(app: FastAPI, path: str, address: str = "http://127.0.0.1:8900", **headers: str) -> httpx.Response:
    async with at(app, address) as client:
        return await client.get(path, headers=headers)


@pytest.mark.anyio
async def test_open_to_the_network_reading_needs_a_login_too(
    settings: Settings, database: Database, tenant: UUID, tenant_name: str
) -> None:
    app = create_app(replace(settings, host="0.0.0.0"), database, reader_tenant=tenant_name)  # noqa: S104
    assert (await _get(app, "/v1/releases", "http://10.1.2.3:8900")).status_code == 401
    page = await _get(app, "/", "http://10.1.2.3:8900")
    assert page.status_code == 401
    assert "Log in" in page.text
    token = tokens.mint(database, tenant, actor="ada", purpose="api", seconds=60).value
    known = await _get(app, "/v1/releases", "http://10.1.2.3:8900", Authorization=f"Bearer {token}")
    assert known.status_code == 200


@pytest.mark.anyio
async def test_open_to_the_network_another_machines_page_is_foreign(
    settings: Settings, database: Database, tenant: UUID, tenant_name: str
) -> None:
    app = create_app(replace(settings, host="0.0.0.0"), database, reader_tenant=tenant_name)  # noqa: S104
    session = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    async with at(app, "http://10.1.2.3:8900") as client:
        client.cookies.set(SESSION_COOKIE, session)
        for origin, status in (("http://10.6.6.6:8900", 403), ("http://10.1.2.3:8900", 404)):
            answer = await client.post(f"/v1/releases/{uuid4()}/abort", headers={"Origin": origin})
            assert answer.status_code == status, answer.text


@pytest.mark.anyio
async def test_a_defect_is_answered_with_an_id_that_the_log_explains_without_secrets(
    settings: Settings, database: Database, tenant_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings, database, reader_tenant=tenant_name)

    @app.get("/v1/broken/{code}")
    def broken(code: str) -> None:
        raise RuntimeError("password=hunter2-secret")

    with caplog.at_level(logging.ERROR):
        answer = await _get(app, "/v1/broken/code-in-the-path")
    assert answer.status_code == 500
    problem = answer.json()
    assert problem["code"] == "web/defect"
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    reference = problem["detail"].split("reference ")[1].split(")")[0]
    assert reference in caplog.text
    assert "RuntimeError" in caplog.text
    assert "hunter2-secret" not in caplog.text
    assert "code-in-the-path" not in caplog.text


@pytest.mark.anyio
async def test_while_the_database_is_away_pages_say_so_and_try_again_by_themselves(settings: Settings) -> None:
    nowhere = Address("host=127.0.0.1 port=1 user=nobody dbname=none connect_timeout=1")
    db = Database(nowhere, max_connections=1, patience_seconds=0)
    try:
        app = create_app(settings, db)
        page = await _get(app, "/")
        assert page.status_code == 503
        assert '<meta http-equiv="refresh"' in page.text
        assert "does not answer" in page.text
        assert "Traceback" not in page.text
        answer = await _get(app, "/v1/releases")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["code"] == "store/database-unavailable"
        health = (await _get(app, "/v1/health")).json()
        assert health["database"] == "down"
    finally:
        db.close()


@pytest.mark.anyio
async def test_a_database_without_the_tenant_says_how_to_get_one(settings: Settings, database: Database) -> None:
    answer = await _get(create_app(settings, database, reader_tenant=f"t-{uuid4().hex[:8]}"), "/v1/releases")
    assert answer.status_code == 503
    assert "prodsprints up" in answer.json()["next_step"]
