"""`prodsprints evidence`: what the platform hands out; verifying it is tested beside the ledger, which makes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KEY = {
    "id": "ab" * 16,
    "role": "drill",
    "public": "AAAA",
    "from_index": 0,
    "until_index": 41,
    "revoked": 40,
}
BUNDLE = {"schema": 1, "entries": []}


@pytest.fixture
def answering(platform: Any) -> Any:
    platform.answers["GET", "/v1/evidence/keys"] = (200, {"keys": [KEY], "fingerprint": "f"})
    platform.answers["GET", "/v1/evidence/export"] = (200, BUNDLE)
    return platform


def test_the_keys_are_shown_to_people_and_given_to_programs(answering: Any, type_: Callable[..., Any]) -> None:
    shown = type_("evidence", "keys")
    assert shown.code == 0
    assert KEY["id"] in shown.out
    assert "from 40 on" in shown.out
    assert type_("evidence", "keys", "--json").lines == [{"schema": 1, "line": "key", **KEY}]


def test_the_export_is_written_as_it_came(answering: Any, type_: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    done = type_("evidence", "export", str(file))
    assert done.code == 0
    assert json.loads(file.read_bytes()) == BUNDLE
    assert f"prodsprints evidence verify {file}" in done.err


def test_an_export_that_cannot_be_written_says_where(answering: Any, type_: Callable[..., Any], tmp_path: Path) -> None:
    done = type_("evidence", "export", str(tmp_path / "nowhere" / "evidence.json"))
    assert done.code == 64
    assert "nowhere" in done.err


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_bundle_is_a_wrong_argument(content: bytes, type_: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    file.write_bytes(content)
    done = type_("evidence", "verify", str(file))
    assert done.code == 64
    assert "no bundle of evidence" in done.err
    assert type_("evidence", "verify", str(tmp_path / "missing")).code == 64
