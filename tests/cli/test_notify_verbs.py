"""`prodsprints notify`: an audience and a text, or one of its verbs; exit codes by what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prodsprints.cli.platform import Platform
from prodsprints.cli.running.telling import Telling
from prodsprints.kernel.settings import Settings

ID = "00000000-0000-4000-8000-0000000000f1"
PUT: dict[str, Any] = {
    "id": ID,
    "audience": "#ops",
    "severity": "info",
    "subject": "hello",
    "body": "",
    "dedupe_key": None,
    "requested_by": "ada",
    "state": "waiting",
    "rounds": 0,
    "next_try_at": None,
    "reason": "",
    "delivered_by": None,
    "delivered_after_seconds": None,
    "created_at": "2026-01-01T00:00:00Z",
    "ended_at": None,
}
SLACK = {
    "channel": "slack",
    "outcome": "failed",
    "words": "no answer within 3 s",
    "seconds": 3.0,
    "at": "2026-01-01T00:00:03Z",
}
MAIL = {**SLACK, "channel": "mail", "outcome": "delivered", "words": "taken for 1 of 1 recipients"}
TAKEN = {**PUT, "state": "delivered", "delivered_by": "mail", "delivered_after_seconds": 3.2, "rounds": 1}


@pytest.fixture
def told(platform: Any) -> Any:
    platform.answers["POST", "/v1/notifications"] = (201, PUT)
    platform.answers["GET", f"/v1/notifications/{ID}"] = (200, {**TAKEN, "attempts": [SLACK, MAIL]})
    return platform


def test_an_audience_and_a_text_are_enough(told: Any, type_: Callable[..., Any]) -> None:
    assert type_("notify", "#ops", "hello").code == 0
    [(_, _, headers, body)] = told.asked
    assert body == {"audience": "#ops", "text": "hello", "severity": "info"} and headers["Idempotency-Key"]
    [line] = type_("notify", "--json", "#ops", "hello", "--severity", "critical", "--key", "k").lines
    assert (line["line"], line["id"]) == ("notification", ID)
    assert told.asked[-1][3]["dedupe_key"] == "k"
    assert type_("notify", "send", "#ops", "hello").code == 0


def test_a_hash_that_the_shell_took_is_explained(type_: Callable[..., Any], told: Any) -> None:
    typed = type_("notify")
    assert "in quotes" in typed.out + typed.err and not told.asked


@pytest.mark.parametrize("words", [("#ops",), ("lst",), ("#ops", "a", "b"), ("#ops", "x", "--severity", "loud")])
def test_what_cannot_be_meant_is_a_usage_error(words: tuple[str, ...], type_: Callable[..., Any], told: Any) -> None:
    assert type_("notify", *words).code == 64
    assert not told.asked


def test_a_test_says_which_channel_took_it(told: Any, type_: Callable[..., Any]) -> None:
    typed = type_("notify", "test", "#ops")
    assert typed.code == 0
    assert "slack: failed after 3.00 s, no answer within 3 s" in typed.out
    assert "Delivered by mail after 3.2 s." in typed.out


@pytest.mark.parametrize("state", ["waiting", "dead"])
def test_a_test_that_no_channel_takes_fails(told: Any, type_: Callable[..., Any], state: str) -> None:
    ended = {**PUT, "rounds": 1, "state": state, "attempts": [SLACK]}
    told.answers["GET", f"/v1/notifications/{ID}"] = (200, ended)
    assert type_("notify", "test", "#ops").code == 1


def test_they_are_listed_shown_and_sent_again(told: Any, type_: Callable[..., Any]) -> None:
    told.answers["GET", "/v1/notifications"] = (200, {"items": [TAKEN], "next": None})
    told.answers["POST", f"/v1/notifications/{ID}/again"] = (200, PUT)
    audience = {"audience": "#ops", "channels": ["slack", "mail"]}
    told.answers["GET", "/v1/notification-audiences"] = (200, {"items": [audience], "next": None})
    assert ID in type_("notify", "list", "--state", "delivered").out
    assert type_("notify", "list", "--json").lines[0]["delivered_by"] == "mail"
    assert "mail: delivered" in type_("notify", "show", ID).out
    assert "waits again" in type_("notify", "again", ID).out
    assert "#ops: slack, else mail" in type_("notify", "audiences").out


def test_what_goes_to_the_terminal_is_said_once_where_the_platform_serves(told: Any) -> None:
    def delivered(number: int, by: str) -> dict[str, Any]:
        return {**TAKEN, "id": f"{ID[:-2]}{number:02}", "delivered_by": by, "subject": f"number {number}"}

    said: list[str] = []
    telling = Telling(Platform(Settings.from_environment()), said.append)
    page = [delivered(1, "terminal")]
    told.answers["GET", "/v1/notifications"] = (200, {"items": page, "next": None})
    telling.look(silently=True)
    page[:0] = [delivered(3, "terminal"), delivered(2, "slack")]
    telling.look()
    told.answers["GET", "/v1/notifications"] = (503, {"title": "Away", "status": 503, "next_step": "Wait."})
    telling.look()
    assert said == ["00:00:00 #ops: number 3"]
