"""`prodsprints drill` as it is typed: against a server that answers as /v1 does, and without any."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from prodsprints.cli.main import main

RUN: dict[str, Any] = {
    **{"id": "00000000-0000-4000-8000-000000000009", "row": "R001.1", "variant": "storm", "environment": "demo"},
    **{"status": "ended", "outcome": "held", "reason": "The control held.", "measured": {"calls_lost": 0.0}},
    "evidence_index": 7,
}
DRILL: dict[str, Any] = {
    **{"row": "R001.1", "variant": "storm", "title": "t", "fault": "429 to 8 of 10 calls", "safety": "safe"},
    "peers": [{"name": "moto server", "version": "5", "peer_class": "double"}],
    **{"digest": "ab" * 32, "trouble": "", "last": None},
}
EVENTS: list[dict[str, Any]] = [
    {"arm": "placebo", "at": 0.1, "kind": "phase", "data": {"name": "stand"}},
    {"arm": "placebo", "at": 0.5, "kind": "fault", "data": {"on": True}},
    {"arm": "placebo", "at": 0.6, "kind": "probe", "data": {"name": "calls", "holds": False, "words": "lost 3"}},
    {"arm": "treatment", "at": 0.7, "kind": "probe", "data": {"name": "calls", "holds": True, "words": "all came"}},
]


class _V1(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.endswith("/events"):
            said = "".join(
                f"id: {seq}\nevent: log\ndata: {json.dumps(event)}\n\n" for seq, event in enumerate(EVENTS, 1)
            )
            self._say(200, f"{said}event: end\ndata: {{}}\n\n".encode(), "text/event-stream")
        elif self.path == "/v1/drills":
            self._say(200, json.dumps({"items": [DRILL]}).encode())
        else:
            self._say(200, json.dumps(RUN).encode())

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))  # type: ignore[attr-defined]
        self._say(202, json.dumps({**RUN, "status": "queued", "outcome": None}).encode())

    def _say(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """What the server was told to do."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _V1) as server:
        server.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setenv("PRODSPRINTS_HOME", str(tmp_path))
        monkeypatch.setenv("PRODSPRINTS_PORT", str(server.server_port))
        monkeypatch.setenv("PRODSPRINTS_TOKEN", "a-token")
        yield server.asked  # type: ignore[attr-defined]
        server.shutdown()


def test_a_run_is_followed_to_its_verdict(asked: list[tuple[str, bytes]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "run", "R001.1", "--variant", "storm"]) == 0
    shown = capsys.readouterr()
    assert [(path, json.loads(body)) for path, body in asked] == [
        ("/v1/drills/R001.1/runs", {"environment": "demo", "variant": "storm"})
    ]
    assert "The control held: R001.1 storm" in shown.out
    assert "entry 7 of the ledger" in shown.out
    for said in ("the fault begins", "✗ calls: lost 3", "✓ calls: all came"):
        assert said in shown.err


@pytest.mark.parametrize("outcome", ["failed", "invalid", "none"])
def test_whatever_is_not_held_exits_with_one(
    asked: list[tuple[str, bytes]], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RUN, "outcome", outcome)
    assert main(["drill", "run", "R001.1"]) == 1


def test_json_lines_are_all_that_is_on_stdout(
    asked: list[tuple[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", "run", "R001.1", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["line"] for line in lines] == ["event"] * len(EVENTS) + ["drill-run"]
    assert all(line["schema"] == 1 for line in lines)
    assert main(["drill", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fault"] == DRILL["fault"]


def test_the_list_says_what_is_broken_and_how_it_ended_last(
    asked: list[tuple[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", "list"]) == 0
    shown = capsys.readouterr().out
    for said in ("R001.1", "429 to 8 of 10 calls", "moto server (double)", "never run"):
        assert said in shown


def test_a_new_drill_works_as_it_is_and_is_never_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "risks" / "payments"
    assert main(["drill", "new", str(folder), "--row", "R012.3"]) == 0
    command = [sys.executable, "drills.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "held: The control held" in done.stdout
    assert 'row="R012.3"' in (folder / "drills.py").read_text()
    capsys.readouterr()
    assert main(["drill", "new", str(folder)]) == 64
    assert "is there already" in capsys.readouterr().err


def test_a_row_without_a_drill_cannot_be_mutated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "mutate", "R009.9"]) == 64
    assert "R009.9 has no drill." in capsys.readouterr().err
