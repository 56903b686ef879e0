"""`prodsprints status …` against a real server: services are watched, shown and hidden, and incidents told of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from prodsprints.cli.main import main
from prodsprints.kernel.errors import ExitCode
from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database
from web.support_status import incident

Type = Callable[..., tuple[int, str]]


@pytest.fixture
def type_(
    serving: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Type:
    monkeypatch.setenv("PRODSPRINTS_HOME", str(tmp_path))
    monkeypatch.setenv("PRODSPRINTS_PORT", str(urlsplit(serving).port))
    monkeypatch.setenv("PRODSPRINTS_TOKEN", token)

    def typed(*arguments: str) -> tuple[int, str]:
        code = main(["status", *arguments])
        told = capsys.readouterr()
        return code, told.out + told.err

    return typed


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_a_service_is_watched_shown_hidden_and_unwatched(type_: Type, client: httpx.Client) -> None:
    assert "Nothing is watched yet" in type_("services")[1]
    code, said = type_("watch", "Shop", "https://8.8.8.8/health", "--every", "60", "--expect", "204")
    assert (code, "Watched: Shop, every 60 s." in said) == (ExitCode.DONE, True)
    (service,) = lines(type_("services", "--json")[1])
    assert service["line"] == "service" and service["schema"] == 1
    assert (service["expected_status"], service["public"], service["level"]) == (204, False, "unknown")
    assert "not measured" in type_("services")[1]
    assert type_("show", "shop")[0] == ExitCode.DONE
    assert lines(type_("hide", "SHOP", "--json")[1])[0]["public"] is False
    assert type_("unwatch", "Shop")[0] == ExitCode.DONE
    assert client.get("/v1/services").json()["items"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("watch", "Shop", "nonsense"),
        ("watch", "Shop", "file:///etc/passwd"),
        ("watch", "Shop", "http://ada:b@shop.example/"),
        ("watch", "Shop", "http://169.254.169.254/"),
        ("watch", "Shop", "https://8.8.8.8/", "--every", "0"),
        ("watch", "Shop", "https://8.8.8.8/", "--every", "-5"),
        ("watch", "Shop", "https://8.8.8.8/", "--every", "nan"),
        ("watch", "Shop", "https://8.8.8.8/", "--every", "inf"),
        ("watch", "Shop", "https://8.8.8.8/", "--expect", "9"),
        ("watch", "", "https://8.8.8.8/"),
        ("watch", "Shop"),
        ("show", "Nothing such"),
        ("hide", "Nothing such"),
        ("unwatch", "Nothing such"),
        ("publish", "nonsense", "--words", "x"),
        ("publish", "00000000-0000-4000-8000-000000000000", "--words", "x"),
        ("publish", "00000000-0000-4000-8000-000000000000", "--words", "x", "--stage", "fine"),
        ("withdraw", "00000000-0000-4000-8000-000000000000"),
        ("--env", "demo", "services"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_in_words(type_: Type, arguments: tuple[str, ...]) -> None:
    code, said = type_(*arguments)
    assert code == ExitCode.USAGE, said
    assert "Traceback" not in said and len(said) > 20


def test_an_incident_is_told_of_and_taken_back(
    type_: Type, client: httpx.Client, database: Database, settings: Settings, tenant: UUID
) -> None:
    id = str(incident(database, settings, tenant))
    code, said = type_("publish", id, "--words", "We look into it.", "--title", "Slow")
    assert (code, "Everybody reads of 'Slow'" in said) == (ExitCode.DONE, True)
    (told,) = lines(type_("publish", id, "--words", "Over.", "--stage", "resolved", "--json")[1])
    assert [update["words"] for update in told["updates"]] == ["Over.", "We look into it."]
    assert client.get("/v1/status").json()["incidents"][0]["stage"] == "resolved"
    assert type_("withdraw", id)[0] == ExitCode.DONE
    assert type_("withdraw", id)[0] == ExitCode.USAGE


def test_the_releases_are_looked_at_as_before(type_: Type) -> None:
    code, said = type_("--json")
    assert code == ExitCode.DONE
    assert lines(said)[0]["line"] == "health"
    assert type_("unheard-of", str(uuid4()))[0] == ExitCode.USAGE
