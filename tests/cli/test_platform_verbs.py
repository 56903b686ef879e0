"""The verbs that ask the platform: what they send, how they follow, and their exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prodsprints.kernel.errors import ExitCode


def event(seq: int, kind: str, step: str, message: str = "", **data: Any) -> dict[str, Any]:
    return {"seq": seq, "at": "2026-01-01T00:00:00Z", "step": step, "kind": kind, "message": message, "data": data}


TICK = {
    "weight": 5, "at": 3.0, "looks": 10, "e_value": 2.0, "threshold": 143.0, "bound": 0.02, "delta": 0.01,
    "canary": {"label": "v2", "requests": 40, "errors": 2}, "stable": {"label": "v1", "requests": 900, "errors": 0},
}  # fmt: skip
STORY = [
    event(1, "began", "audit"),
    event(2, "finding", "audit", "app.py:1: framework: fastapi"),
    event(3, "ended", "audit", "fastapi", status="done"),
    event(4, "began", "rollout"),
    event(5, "route", "rollout", "v2 gets 5 % of the traffic", weight=5),
    event(6, "tick", "rollout", "…", **TICK),
    event(7, "error", "rollout", "v2 broke"),
    event(8, "ended", "rollout", "kept", status="done"),
]


@pytest.mark.parametrize(
    ("status", "code"), [("released", 0), ("failed", 1), ("aborted", 1), ("refused", 3), ("rolled_back", 6)]
)
def test_the_exit_code_says_how_the_release_ended(
    status: str, code: int, platform: Any, type_: Callable[..., Any], tmp_path: Path
) -> None:
    platform.events = STORY
    platform.ending = {"status": status, "reason": "v3 erred on 25 of 500 requests."}
    typed = type_("release", str(tmp_path))
    assert typed.code == code
    assert "v3 erred on 25 of 500 requests." in typed.out
    assert "✓ audit" in typed.err
    assert "v2 gets 5 % of the traffic" in typed.err
    assert "2/40" in typed.err


def test_an_address_is_sent_as_it_was_typed_and_what_a_release_went_on_without_is_said(
    platform: Any, type_: Callable[..., Any]
) -> None:
    platform.events = STORY
    said = "v2 is 3f9c1e0d2b7a, from the mirror"
    degraded = {"step": "source", "integration": "git-host", "said": said}
    platform.ending = {"status": "released", "reason": "", "degradations": [degraded]}
    typed = type_("release", "https://git.example.com/acme/shop.git", "--ref", "v2")
    assert typed.code == 0
    assert said in typed.out
    [body] = [body for method, path, _, body in platform.asked if (method, path) == ("POST", "/v1/releases")]
    assert (body["path"], body["ref"]) == ("https://git.example.com/acme/shop.git", "v2")


def test_a_release_that_failed_ends_with_its_reason_and_what_to_do(
    platform: Any, type_: Callable[..., Any], tmp_path: Path
) -> None:
    platform.events = [
        event(1, "began", "rollout"), event(2, "error", "rollout", "v2 did not become healthy."),
        event(3, "why", "rollout", "GET / answered 503."), event(4, "next_step", "rollout", "Correct that."),
        event(5, "ended", "rollout", "v2 did not become healthy.", status="failed"),
    ]  # fmt: skip
    platform.ending = {
        "status": "failed", "reason": "v2 did not become healthy.", "figures": {"next_step": "Correct that."}
    }  # fmt: skip
    typed = type_("release", str(tmp_path))
    assert typed.out.splitlines()[-1] == "→ Correct that."
    assert typed.err.count("v2 did not become healthy.") == 1
    assert "GET / answered 503." in typed.err


def test_a_release_is_asked_for_with_an_absolute_path_a_token_and_a_key(
    platform: Any, type_: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    type_("release", ".", "--ref", "v2", "--env", "staging", "--strategy", "direct", "--no-follow")
    ((_, _, headers, body),) = [one for one in platform.asked if one[0] == "POST"]
    assert body == {"path": str(tmp_path), "ref": "v2", "environment": "staging", "strategy": "direct"}
    assert headers["Authorization"] == "Bearer a-token-of-the-test"
    assert headers["Idempotency-Key"]


def test_a_cut_stream_goes_on_after_the_last_event(platform: Any, type_: Callable[..., Any], tmp_path: Path) -> None:
    platform.events, platform.cut_after = STORY, 4
    typed = type_("release", str(tmp_path), "--json")
    assert [line["seq"] for line in typed.lines if line["line"] == "event"] == list(range(1, 9))
    streams = [headers for _, path, headers, _ in platform.asked if path.endswith("/events")]
    assert [headers["Last-Event-ID"] for headers in streams] == ["0", "4"]


def test_json_lines_are_versioned_and_alone_on_stdout(platform: Any, type_: Callable[..., Any], tmp_path: Path) -> None:
    platform.events = STORY
    lines = type_("release", str(tmp_path), "--json").lines
    assert all(line["schema"] == 1 for line in lines)
    assert lines[-1]["status"] == "released"


def test_a_refusal_of_the_platform_keeps_its_words_and_its_exit_code(
    platform: Any, type_: Callable[..., Any], tmp_path: Path
) -> None:
    problem = {
        "type": "urn:prodsprints:release/dirty-tree", "title": "The working tree holds changes", "status": 409,
        "detail": "app.py is modified.", "code": "release/dirty-tree", "next_step": "Commit it.", "exit_code": 3,
    }  # fmt: skip
    platform.answers["POST", "/v1/releases"] = (409, problem)
    typed = type_("release", str(tmp_path))
    assert typed.code == ExitCode.REFUSED
    assert "app.py is modified." in typed.err
    assert "Commit it." in typed.err
    assert type_("release", str(tmp_path), "--json").lines == [{"schema": 1, **problem}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status"], "app/production"),
        (["logs"], "listening"),
        (["rollback"], "released"),
        (["abort"], "asked to stop"),
        (["promote"], "all traffic"),
        (["unlock"], "was not locked"),
        (["login"], "/login/x"),
    ],
)
def test_each_verb_answers_people_and_programs(
    words: list[str], said: str, platform: Any, type_: Callable[..., Any]
) -> None:
    typed = type_(*words)
    assert typed.code == ExitCode.DONE
    assert said in typed.out
    as_json = type_(*words, "--json")
    assert as_json.lines
    assert all(line["schema"] == 1 for line in as_json.lines)


def test_an_unknown_project_is_told_which_there_are(platform: Any, type_: Callable[..., Any]) -> None:
    typed = type_("logs", "--project", "other")
    assert typed.code == ExitCode.USAGE
    assert "app/production" in typed.err


def test_another_program_on_that_port_is_recognised(platform: Any, type_: Callable[..., Any]) -> None:
    platform.answers["GET", "/v1/health"] = (500, ["not", "ours"])
    typed = type_("status")
    assert typed.code == ExitCode.FAILED
    assert "not as ProdSprints would" in typed.err


def test_the_status_says_which_git_host_does_not_answer(platform: Any, type_: Callable[..., Any]) -> None:
    platform.mirrors = [
        {"node": "n1", "failing": True, "failure": "It hangs.", "fetched_at": "2026-01-01T00:00:00Z", "size_bytes": 1}
    ]
    typed = type_("status")
    assert typed.code == 0
    assert "n1 could not fetch" in typed.out and "It hangs." in typed.out


def test_the_status_of_what_there_is_not_names_what_there_is(platform: Any, type_: Callable[..., Any]) -> None:
    typed = type_("status", "--project", "ap")
    assert typed.code == ExitCode.USAGE
    assert "app/production" in typed.err


@pytest.mark.parametrize("token", ["two words", "t\N{LATIN SMALL LETTER O WITH DIAERESIS}ken", "bell\a"])
def test_what_is_no_token_is_refused_before_it_is_sent(
    token: str, platform: Any, type_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRODSPRINTS_TOKEN", token)
    typed = type_("status")
    assert typed.code == ExitCode.FAILED
    assert "PRODSPRINTS_TOKEN holds is no token" in typed.err
    assert token not in typed.err


def test_without_a_token_another_tenant_is_not_shown_the_default_one(
    platform: Any, type_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRODSPRINTS_TOKEN", raising=False)
    typed = type_("status", "--tenant", "other")
    assert typed.code == ExitCode.FAILED
    assert "no token for the tenant 'other'" in typed.err


def test_a_deletion_waits_until_nothing_answers_and_says_how_to_undo_it(
    platform: Any, type_: Callable[..., Any]
) -> None:
    gone = platform.answer("DELETE", "/v1/projects/app")[1]
    platform.answers["DELETE", "/v1/projects/app"] = (200, {**gone, "withdrawn": False})
    typed = type_("project", "delete", "app", "--yes")
    assert typed.code == 0
    assert "app is deleted. It can be brought back at least until 2026-01-31:" in typed.out
    assert "prodsprints project undelete app" in typed.out
    assert "still answers" not in typed.out
    assert [asked[:2] for asked in platform.asked] == [("DELETE", "/v1/projects/app"), ("GET", "/v1/projects")]


def test_a_deletion_that_is_not_confirmed_changes_nothing(platform: Any, type_: Callable[..., Any]) -> None:
    typed = type_("project", "delete", "app")
    assert typed.code != 0
    assert "Delete app?" in typed.err
    assert platform.asked == []


@pytest.mark.parametrize(("status", "code"), [("released", 0), ("failed", 1)])
def test_an_undeleted_project_is_followed_until_it_serves_again(
    status: str, code: int, platform: Any, type_: Callable[..., Any]
) -> None:
    platform.ending = {"status": status, "reason": "Healthy."}
    typed = type_("project", "undelete", "app")
    assert typed.code == code
    assert "app is back." in typed.out
    assert "Healthy." in typed.out


def test_projects_are_listed_with_who_deleted_them(platform: Any, type_: Callable[..., Any]) -> None:
    typed = type_("project", "list", "--deleted")
    assert "2026-01-01 by ada" in typed.out
    assert '"line": "project"' in type_("project", "list", "--json").out
