"""Notifications over the API and on their pages: put once, refused in words, shown with what was tried."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from prodsprints.notify import outbox
from prodsprints.notify.message import Message
from prodsprints.store.database import Database
from prodsprints.web import tokens
from prodsprints.web.identity import SESSION_COOKIE

TOLD = {"audience": "#ops", "text": "The database moves tonight.\nAt 22:00."}


@pytest.fixture
def browser(serving: str, database: Database, tenant: UUID) -> httpx.Client:
    """Somebody with a session, on our own pages."""
    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    cookies = {SESSION_COOKIE: value}
    return httpx.Client(base_url=serving, cookies=cookies, headers={"Origin": serving}, trust_env=False)


def attempt(database: Database, tenant: UUID, id: UUID, channel: str, outcome: str, words: str) -> None:
    with database.tenant(tenant) as connection:
        connection.execute(
            "insert into notification_attempts (notification_id, number, channel, outcome, words, seconds)"
            " select %s, count(*) + 1, %s, %s, %s, 0.25 from notification_attempts where notification_id = %s",
            [id, channel, outcome, words, id],
        )


def end(database: Database, tenant: UUID, id: UUID, state: str, by: str | None = None) -> None:
    with database.tenant(tenant) as connection:
        connection.execute(
            "update notifications set state = %s, delivered_by = %s, ended_at = clock_timestamp() where id = %s",
            [state, by, id],
        )


def test_what_is_posted_is_in_the_outbox_once(writer: httpx.Client, client: httpx.Client) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    first, again = (writer.post("/v1/notifications", json=TOLD, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    put = first.json()
    assert (put["state"], put["subject"], put["requested_by"]) == ("waiting", "The database moves tonight.", "ada")
    [listed] = client.get("/v1/notifications").json()["items"]
    assert listed == put == again.json()
    assert client.get(f"/v1/notifications/{put['id']}").json() == {**put, "attempts": []}
    other = writer.post("/v1/notifications", json={**TOLD, "text": "else"}, headers=headers)
    assert other.status_code == 422


def test_the_same_dedupe_key_is_one_notification(writer: httpx.Client) -> None:
    answers = [writer.post("/v1/notifications", json={**TOLD, "dedupe_key": "disk"}).json() for _ in range(2)]
    assert answers[0]["id"] == answers[1]["id"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"audience": "#opps"}, "did you mean `#ops`"),
        ({"audience": "ops"}, "is no audience"),
        ({"text": "  "}, "The text is empty"),
        ({"text": "x" * 4_001}, "4000 are the most"),
        ({"text": "bell \a"}, "control characters"),
        ({"subject": "a\r\nBcc: x@y.z"}, "line breaks"),
        ({"severity": "loud"}, "severity"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words(writer: httpx.Client, change: dict[str, Any], said: str) -> None:
    answer = writer.post("/v1/notifications", json={**TOLD, **change})
    assert answer.status_code == 422 and said in answer.text and answer.json()["next_step"]
    assert writer.get("/v1/notifications").json()["items"] == []


def test_nobody_tells_anything_without_a_login(client: httpx.Client) -> None:
    assert client.post("/v1/notifications", json=TOLD).status_code == 401
    assert client.post(f"/v1/notifications/{uuid4()}/again").status_code == 401


def test_listings_go_on_and_can_be_of_one_state(
    writer: httpx.Client, client: httpx.Client, database: Database, tenant: UUID
) -> None:
    ids = [writer.post("/v1/notifications", json={**TOLD, "text": str(n)}).json()["id"] for n in range(3)]
    end(database, tenant, UUID(ids[0]), "dead")
    first = client.get("/v1/notifications", params={"limit": 2}).json()
    rest = client.get("/v1/notifications", params={"limit": 2, "cursor": first["next"]}).json()
    assert [one["id"] for one in (*first["items"], *rest["items"])] == ids[::-1] and rest["next"] is None
    assert [one["id"] for one in client.get("/v1/notifications", params={"state": "dead"}).json()["items"]] == [ids[0]]
    assert client.get("/v1/notifications", params={"state": "lost"}).status_code == 422


def test_only_what_is_dead_is_sent_again(writer: httpx.Client, database: Database, tenant: UUID) -> None:
    id = writer.post("/v1/notifications", json=TOLD).json()["id"]
    assert writer.post(f"/v1/notifications/{id}/again").status_code == 409
    end(database, tenant, UUID(id), "dead")
    assert writer.post(f"/v1/notifications/{id}/again").json()["state"] == "waiting"
    missing = writer.post(f"/v1/notifications/{uuid4()}/again")
    assert (missing.status_code, missing.json()["code"]) == (404, "notify/unknown")


def test_the_audiences_are_there_with_their_channels(client: httpx.Client) -> None:
    assert client.get("/v1/notification-audiences").json()["items"] == [
        {"audience": "#ops", "channels": ["terminal", "page"]},
        {"audience": "#security", "channels": ["terminal", "page"]},
    ]


def test_the_page_says_what_was_told_by_whom_and_after_how_long(
    client: httpx.Client, database: Database, tenant: UUID
) -> None:
    assert "Nobody was told anything yet" in client.get("/notifications").text
    message = Message.of("#ops", "<b>Disk full</b>\nOn node 7.", severity="critical")
    id = outbox.add(database, tenant, message, requested_by="ada", id=uuid4()).id
    attempt(database, tenant, id, "slack", "failed", "no answer within 3 s")
    attempt(database, tenant, id, "mail", "delivered", "taken for 1 of 1 recipients")
    end(database, tenant, id, "delivered", "mail")
    listing, page = client.get("/notifications").text, client.get(f"/notifications/{id}").text
    assert "&lt;b&gt;Disk full" in listing and "Delivered" in listing and "<b>Disk" not in listing
    assert "Delivered by mail after 0.0 s" in page or "Delivered by mail after" in page
    assert page.index("no answer within 3 s") < page.index("taken for 1 of 1 recipients")
    assert client.get(f"/notifications/{uuid4()}").status_code == 404


def test_a_person_tells_something_from_the_page_and_is_told_what_is_wrong(browser: httpx.Client) -> None:
    form = {"id": str(uuid4()), "audience": "#ops", "text": "Hello\nall", "severity": "warning"}
    wrong = browser.post("/notifications", data={**form, "id": str(uuid4()), "text": " "})
    assert wrong.status_code == 422 and "The text is empty" in wrong.text
    sent = browser.post("/notifications", data=form)
    assert sent.status_code == 303
    assert sent.headers["location"] == browser.post("/notifications", data=form).headers["location"]
    assert "Hello" in browser.get(sent.headers["location"]).text


def test_a_dead_one_has_its_reason_and_a_button(browser: httpx.Client, database: Database, tenant: UUID) -> None:
    id = outbox.add(database, tenant, Message.of("#ops", "hello"), requested_by="ada", id=uuid4()).id
    end(database, tenant, id, "dead")
    page = browser.get(f"/notifications/{id}").text
    assert "Nothing delivered it" in page and "Send it again" in page
    again = browser.post(f"/notifications/{id}/again", data={"id": str(uuid4())})
    assert again.headers["location"] == f"/notifications/{id}"
    assert outbox.get(database, tenant, id).state == "waiting"
    assert browser.post(f"/notifications/{id}/again", data={"id": str(uuid4())}).status_code == 422
