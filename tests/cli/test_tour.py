"""The load generator: steady, bounded, on this machine only, and exact about whose error an error is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from prodsprints.cli.tour import load
from prodsprints.cli.tour.load import Counts
from prodsprints.cli.tour.traffic import Traffic

OURS = {"x-prodsprints-release": "v3", "x-envoy-upstream-service-time": "3"}


@pytest.mark.parametrize(
    ("status", "headers", "failed", "canary"),
    [
        (200, {}, 0, 0),
        (302, {}, 0, 0),
        (404, OURS, 1, 0),
        (500, OURS, 0, 1),
        (503, {"x-prodsprints-release": "v3"}, 1, 0),  # Envoy's own answer
        (500, {**OURS, "x-prodsprints-release": "v2"}, 1, 0),
    ],
)
def test_only_what_the_canary_itself_answered_is_its_error(
    status: int, headers: dict[str, str], failed: int, canary: int
) -> None:
    counts = Counts()
    counts.answered(status, headers, "v3")
    assert (counts.failed_requests, counts.canary_errors) == (failed, canary)


@pytest.fixture
def address() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(500 if self.path == "/bad" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_traffic_is_steady_and_counted_to_the_last_answer(address: str) -> None:
    done = threading.Event()
    with Traffic([f"{address}/", f"{address}/bad"], rate=100, canary="v3") as traffic:
        while traffic.counts["requests"] < 100:
            assert not done.wait(0.05)
    counts = traffic.counts
    assert counts["requests"] <= 400
    assert counts["failed_requests"] == counts["requests"] // 2
    assert counts["canary_errors"] == 0


@pytest.mark.parametrize("url", ["http://example.org/", "http://10.0.0.1/", "https://127.0.0.1/", "ftp://127.0.0.1/"])
def test_nothing_but_this_machine_is_asked(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load.main([url])
    assert "loopback" in capsys.readouterr().err
