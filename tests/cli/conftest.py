"""A command line to type at, a platform's double that answers as /v1 does, and a small repository to point at."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.support_quotas import answers as quota_answers
from cli.support_register import answers as register_answers
from prodsprints.cli.main import main

APP = """\
from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
def healthz() -> str:
    return "ok"
"""


@dataclass(frozen=True)
class Typed:
    """What came of one command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines; fails if anything else is among them."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATABASE_URL", "ADMIN_DATABASE_URL", "TOKEN", "HOST", "NODE"):
        monkeypatch.delenv(f"PRODSPRINTS_{name}", raising=False)
    monkeypatch.setenv("PRODSPRINTS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PRODSPRINTS_PORT", "1")  # nobody listens there
    return tmp_path / "home"


@pytest.fixture
def type_(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Typed]:
    def run(*words: str) -> Typed:
        capsys.readouterr()
        code = main(words)
        shown = capsys.readouterr()
        return Typed(code, shown.out, shown.err)

    return run


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A FastAPI application in a Git repository, as a stranger would have it."""
    top = tmp_path / "app"
    (top / "app").mkdir(parents=True)
    (top / "app" / "__init__.py").touch()
    (top / "app" / "main.py").write_text(APP)
    (top / "RISKS.md").write_text("## R1: It rains\nLevel: low\nProbability: 1\nMitigation:\n- Done: roof\n")
    (top / "requirements.txt").write_text("fastapi==0.115.0\nuvicorn==0.34.0\n")
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=top, check=True)
    return top


RELEASE: dict[str, Any] = {
    "id": "00000000-0000-4000-8000-000000000001",
    "project": "app",
    "environment": "production",
    "environment_id": "00000000-0000-4000-8000-0000000000e1",
    "label": "v2",
    "commit": "a" * 40,
    "status": "queued",
    "reason": "",
    "figures": {},
}
ENVIRONMENT: dict[str, Any] = {
    "id": RELEASE["environment_id"],
    "project": "app",
    "name": "production",
    "repository": "/srv/app",
    "node": "here",
    "port": 18000,
    "address": "http://127.0.0.1:18000",
    "current_release_id": RELEASE["id"],
    "current_label": "v1",
}

DELETED: dict[str, Any] = {
    "name": "app",
    "repository": "/srv/app",
    "environments": ["production"],
    "deleted_at": "2026-01-01T00:00:00Z",
    "deleted_by": "ada",
    "kept_until": "2026-01-31T00:00:00Z",
    "withdrawn": True,
}

RUN: dict[str, Any] = {
    "id": "00000000-0000-4000-8000-0000000000d1",
    "row": "R001.1",
    "variant": "throttling-storm",
    "environment": "demo",
    "status": "ended",
    "outcome": "held",
    "reason": "The control held: all calls complete.",
    "measured": {"calls_lost": 0},
    "evidence_index": 5,
}
TOLD: dict[str, Any] = {
    "id": "00000000-0000-4000-8000-0000000000f1",
    "audience": "#ops",
    "subject": "hello",
    "state": "delivered",
    "rounds": 1,
    "delivered_by": "slack",
    "delivered_after_seconds": 0.4,
    "created_at": "2026-01-01T00:00:00Z",
    "attempts": [{"channel": "slack", "outcome": "delivered", "words": "Slack answered ok", "seconds": 0.2}],
}
DEPENDENCY: dict[str, Any] = {
    "name": "github",
    "circuit": "closed",
    "is_fresh": True,
    "heard_seconds_ago": 1.0,
    "rate": 1.5,
    "rate_limit": 1.38,
    "in_flight": 2,
    "limit": 200,
    "outcomes": {"succeeded": 80},
    "recent_attempts": 80,
    "p50_seconds": 0.25,
    "p95_seconds": 0.5,
    "p99_seconds": None,
    "retries": 3,
    "budget_spent": 0,
    "throttled": 1,
    "trips": 1,
    "last_trips": ["2026-01-01T00:00:00Z"],
    "scopes": [{"keys": ["main"], "rate": 1.38, "burst": 1.0, "remaining": 0.0, "frozen_seconds": 590.0}],
    "processes": [
        {"worker": "w-1", "circuit": "closed", "is_fresh": True, "in_flight": 2, "rate": 1.5, "heard_seconds_ago": 1.0}
    ],
    "quota": {"id": "1", "name": "VPCs", "reaches": "2027-01-31T00:00:00Z", "seconds": 1e6},
    "bucket_seconds": 12.0,
    "by_hand": [{"at": "2026-01-01T00:00:00Z", "act": "freeze", "seconds": 600.0, "actor": "ada"}],
}
DRILL: dict[str, Any] = {
    "row": "R001.1",
    "variant": "throttling-storm",
    "title": "Every call is answered",
    "fault": "AWS throttles",
    "safety": "safe",
    "peers": [{"name": "moto", "version": "5", "peer_class": "double"}],
    "trouble": "",
    "last": RUN,
}


SERVICES: list[dict[str, Any]] = [
    {
        "id": f"00000000-0000-4000-8000-00000000000{number}",
        "name": name,
        "url": None,
        "interval_seconds": 30.0,
        "public": True,
        "level": "up",
        "seen_at": "2026-01-01T00:00:00Z",
        "words": "",
    }
    for number, name in enumerate(("Shop", "Workers"))
]
PUBLISHED: dict[str, Any] = {"title": "Search is disturbed", "stage": "investigating", "updates": []}


@dataclass
class Double:
    """A platform that answers what it is told to; `asked` is what it heard."""

    ending: dict[str, Any] = field(default_factory=lambda: {"status": "released", "reason": "Good to keep."})
    mirrors: list[dict[str, Any]] = field(default_factory=list)
    ran: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    cut_after: int | None = None
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        """The status and body for a request."""
        if (method, path) in self.answers:
            return self.answers[method, path]
        release = f"/v1/releases/{RELEASE['id']}"
        known: dict[tuple[str, str], tuple[int, Any]] = {
            **register_answers(),
            **quota_answers(),
            ("GET", "/v1/health"): (200, {"version": "0", "database": "up", "node": "up", "workers": 1}),
            ("GET", "/v1/environments"): (200, {"items": [ENVIRONMENT], "next": None}),
            ("GET", "/v1/releases"): (200, {"items": [{**RELEASE, "status": "running"}], "next": None}),
            ("POST", "/v1/releases"): (202, RELEASE),
            ("GET", release): (200, {**RELEASE, **self.ending}),
            ("POST", f"{release}/abort"): (202, RELEASE),
            ("POST", f"{release}/promote"): (202, RELEASE),
            ("POST", f"/v1/environments/{ENVIRONMENT['id']}/rollback"): (202, {**RELEASE, "label": "v1"}),
            ("POST", f"/v1/environments/{ENVIRONMENT['id']}/unlock"): (200, {"lease": None}),
            ("GET", f"/v1/environments/{ENVIRONMENT['id']}/log"): (
                200,
                {"label": "v1", "text": "listening\n", "next": "i.10", "dropped_lines": 0},
            ),
            ("GET", "/v1/projects"): (200, {"items": [{**DELETED, "mirrors": self.mirrors}], "next": None}),
            ("DELETE", "/v1/projects/app"): (200, DELETED),
            ("POST", "/v1/projects/app/undelete"): (202, {"project": DELETED, "releases": [RELEASE]}),
            ("GET", "/v1/drills"): (200, {"items": [DRILL, {"row": "S003.4", "trouble": "It cannot be imported."}]}),
            ("GET", f"/v1/drill-runs/{RUN['id']}"): (200, {**RUN, **self.ran}),
            ("GET", "/v1/notifications"): (200, {"items": [TOLD], "next": None}),
            ("POST", "/v1/notifications"): (201, TOLD),
            ("GET", f"/v1/notifications/{TOLD['id']}"): (200, TOLD),
            ("POST", f"/v1/notifications/{TOLD['id']}/again"): (200, TOLD),
            ("GET", "/v1/notification-audiences"): (200, {"items": [], "next": None}),
            ("GET", "/v1/dependencies"): (200, {"items": [DEPENDENCY], "next": None}),
            ("GET", "/v1/dependencies/aws-sts"): (200, DEPENDENCY),
            ("GET", "/v1/dependencies/github"): (200, DEPENDENCY),
            ("POST", "/v1/dependencies/github/freeze"): (200, DEPENDENCY),
            ("POST", "/v1/dependencies/github/thaw"): (200, DEPENDENCY),
            ("GET", "/v1/services"): (200, {"items": SERVICES, "next": None}),
            ("POST", "/v1/services"): (201, SERVICES[0]),
            **{("DELETE", f"/v1/services/{one['id']}"): (200, one) for one in SERVICES},
            **{
                ("POST", f"/v1/services/{one['id']}/{verb}"): (200, one)
                for one in SERVICES
                for verb in ("show", "hide")
            },
            ("POST", "/v1/login-links"): (
                201,
                {"url": "http://127.0.0.1/login/x", "expires_at": "2026-01-01T00:00:00Z"},
            ),
        }
        if (method, path.rpartition("/")[2]) == ("POST", "runs"):
            return 202, RUN
        if (method, path.rpartition("/")[2]) in {("POST", "publish"), ("POST", "withdraw")}:
            return 200, PUBLISHED
        return known.get((method, path), (404, {"title": "Nothing there", "status": 404, "exit_code": 64}))


@pytest.fixture
def platform(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    double = Double()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/events"):
                double.asked.append(("GET", self.path, dict(self.headers), None))
                self._stream(int(self.headers.get("Last-Event-ID", "0")))
            else:
                self._answer("GET", None)

        def do_DELETE(self) -> None:
            self._answer("DELETE", None)

        def do_POST(self) -> None:
            self._answer("POST", json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}"))

        def _answer(self, method: str, body: Any) -> None:
            path = self.path.partition("?")[0]
            double.asked.append((method, path, dict(self.headers), body))
            status, document = double.answer(method, path)
            text = (document if isinstance(document, str) else json.dumps(document)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _stream(self, after: int) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.close_connection = True
            for event in double.events:
                if event["seq"] <= after:
                    continue
                self.wfile.write(f"id: {event['seq']}\nevent: log\ndata: {json.dumps(event)}\n\n".encode())
                if event["seq"] == double.cut_after and after < event["seq"]:
                    return
            self.wfile.write(b'event: end\ndata: {"status": "released"}\n\n')

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    monkeypatch.setenv("PRODSPRINTS_PORT", str(server.server_address[1]))
    monkeypatch.setenv("PRODSPRINTS_TOKEN", "a-token-of-the-test")
    yield double
    server.shutdown()
    server.server_close()
    thread.join()
