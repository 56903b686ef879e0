"""Faults on real connections: each does what it says, for as long as it says, and for nobody else."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.drills import faults
from prodsprints.drills.errors import ExperimentError, ForeignTargetError
from prodsprints.drills.faults import Direction, toxics
from prodsprints.drills.stage import Arm, Stage
from prodsprints.kernel.settings import Settings
from support_waiting import eventually


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    place: Path = tmp_path_factory.mktemp("stage")
    made = Stage(
        directory=place,
        settings=Settings.from_environment({"PRODSPRINTS_HOME": str(place)}),
        admin=None,
        arm=Arm.TREATMENT,
        config={},
        limit_seconds=100,
        emit=lambda _: None,
    )
    with made.open():
        yield made


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


class _Quiet(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections are reset here on purpose."""


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    with _Quiet(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


@pytest.fixture
def proxy(stage: Stage, echo_port: int) -> Iterator[faults.TcpProxy]:
    with faults.tcp_proxy(stage, upstream=("127.0.0.1", echo_port)) as made:
        yield made


@pytest.fixture
def line(proxy: faults.TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection(proxy.address, timeout=10) as connection:
        yield connection


def _echoed(line: socket.socket, text: bytes = b"hello") -> tuple[bytes, float]:
    """What comes back, and after how long."""
    began = time.monotonic()
    line.sendall(text)
    found = bytearray()
    while len(found) < len(text) and (more := line.recv(65_536)):
        found += more
    return bytes(found), time.monotonic() - began


def test_without_a_toxic_every_byte_passes(line: socket.socket, proxy: faults.TcpProxy) -> None:
    text = os.urandom(2_000_000)
    # Sent from another thread: the echo stops reading while nobody takes what it sent.
    sender = threading.Thread(target=line.sendall, args=(text,))
    sender.start()
    found = bytearray()
    while len(found) < len(text):
        found += line.recv(65_536)
    sender.join()
    assert found == text
    assert proxy.counts() == {"connections": 1, "open": 1, "hits": 0}


def test_latency_is_added_and_taken_away(line: socket.socket, proxy: faults.TcpProxy) -> None:
    with proxy.toxic(faults.Latency(0.2, jitter_seconds=0.02), ttl_seconds=10):
        text, seconds = _echoed(line)
        assert text == b"hello"
        assert 0.17 < seconds < 1.5
    assert _echoed(line)[1] < 0.15
    assert proxy.counts()["hits"] > 0


def test_both_directions_double_the_latency(line: socket.socket, proxy: faults.TcpProxy) -> None:
    with proxy.toxic(faults.Latency(0.15), ttl_seconds=10, direction=Direction.BOTH):
        assert _echoed(line)[1] > 0.29


def test_bandwidth_bounds_what_comes_through(line: socket.socket, proxy: faults.TcpProxy) -> None:
    with proxy.toxic(faults.Bandwidth(100_000), ttl_seconds=10):
        text = os.urandom(30_000)
        found, seconds = _echoed(line, text)
        assert found == text
        assert 0.25 < seconds < 1.5


def test_a_sliced_answer_comes_in_pieces_and_whole(line: socket.socket, proxy: faults.TcpProxy) -> None:
    with proxy.toxic(faults.Slice(10, delay_seconds=0.01), ttl_seconds=10):
        line.sendall(b"x" * 100)
        pieces = []
        while sum(map(len, pieces)) < 100:
            pieces.append(line.recv(65_536))
        assert len(pieces) > 3


def test_a_corrupted_answer_differs_in_one_bit(line: socket.socket, proxy: faults.TcpProxy) -> None:
    with proxy.toxic(faults.Corrupt(), ttl_seconds=10):
        found, _ = _echoed(line, b"\0" * 64)
        assert sum(byte.bit_count() for byte in found) == 1


def test_what_a_black_hole_held_back_arrives_when_it_ends(line: socket.socket, proxy: faults.TcpProxy) -> None:
    with proxy.toxic(faults.Blackhole(), ttl_seconds=10):
        line.sendall(b"hello")
        line.settimeout(0.2)
        with pytest.raises(TimeoutError):
            line.recv(10)
        with socket.create_connection(proxy.address, timeout=0.2) as newcomer, pytest.raises(TimeoutError):
            newcomer.recv(10)
    line.settimeout(10)
    assert line.recv(10) == b"hello"


def test_a_reset_ends_old_and_new_connections(line: socket.socket, proxy: faults.TcpProxy) -> None:
    with proxy.toxic(faults.Reset(), ttl_seconds=10):
        with pytest.raises(ConnectionResetError):
            line.recv(10)
        with pytest.raises(ConnectionResetError), socket.create_connection(proxy.address, timeout=10) as newcomer:
            newcomer.recv(10)
    with socket.create_connection(proxy.address, timeout=10) as newcomer:
        assert _echoed(newcomer)[0] == b"hello"


def test_a_reset_can_wait_for_some_bytes(line: socket.socket, proxy: faults.TcpProxy) -> None:
    with proxy.toxic(faults.Reset(after_bytes=100), ttl_seconds=10):
        assert _echoed(line, b"x" * 20)[0] == b"x" * 20
        with pytest.raises(ConnectionError):
            while _echoed(line, b"x" * 40)[0]:
                pass


def test_an_end_can_be_told_late(line: socket.socket, proxy: faults.TcpProxy) -> None:
    with proxy.toxic(faults.SlowClose(0.3), ttl_seconds=10):
        began = time.monotonic()
        line.shutdown(socket.SHUT_WR)
        assert line.recv(10) == b""
        assert time.monotonic() - began > 0.29


def test_a_half_closed_connection_still_answers(line: socket.socket) -> None:
    line.sendall(b"last words")
    line.shutdown(socket.SHUT_WR)
    assert line.recv(100) == b"last words"


def test_a_toxic_ends_by_itself(line: socket.socket, proxy: faults.TcpProxy, stage: Stage) -> None:
    with proxy.toxic(faults.Latency(5), ttl_seconds=0.3):
        assert len(stage.faults.active()) == 1
        assert _echoed(line)[1] < 2
        assert stage.faults.active() == []
        assert _echoed(line)[1] < 0.2


def test_a_peer_that_is_not_there_looks_like_one(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with (
        faults.tcp_proxy(stage, upstream=("127.0.0.1", port)) as dead,
        pytest.raises(ConnectionResetError),
        socket.create_connection(dead.address, timeout=10) as line,
    ):
        line.recv(10)


def test_a_flood_behind_a_slow_line_is_not_collected_in_memory(stage: Stage, proxy: faults.TcpProxy) -> None:
    import psutil

    before = psutil.Process(stage.faults.pid).memory_info().rss
    with (
        proxy.toxic(faults.Bandwidth(1_000), ttl_seconds=20, direction=Direction.TO_PEER),
        socket.create_connection(proxy.address) as line,
    ):
        line.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for _ in range(2_000):
                line.sendall(b"x" * 65_536)
        assert psutil.Process(stage.faults.pid).memory_info().rss - before < 16_000_000


@pytest.mark.parametrize("host", ["192.0.2.1", "example.invalid", "0.0.0.0", "::"])  # noqa: S104
def test_nothing_but_loopback_is_aimed_at(stage: Stage, host: str) -> None:
    with pytest.raises(ForeignTargetError), faults.tcp_proxy(stage, upstream=(host, 80)):
        pass
    with pytest.raises(ForeignTargetError), faults.http_origin(stage, upstream=f"http://{host}:80"):
        pass


@given(st.one_of(st.floats(max_value=0), st.floats(min_value=601), st.just(float("nan"))))
def test_no_fault_lasts_for_ever_or_not_at_all(seconds: float) -> None:
    with pytest.raises(ExperimentError):
        toxics.checked_ttl(seconds)


@given(
    st.builds(faults.Latency, st.floats(0, 1e6), st.floats(0, 1e6))
    | st.builds(faults.Bandwidth, st.floats(1, 1e9))
    | st.builds(faults.Slice, st.integers(1, 10**9), st.floats(0, 1e6))
    | st.builds(faults.Corrupt, st.floats(0, 1))
    | st.builds(faults.Reset, st.integers(0, 10**9))
)
def test_a_toxic_arrives_as_it_was_sent(toxic: faults.Toxic) -> None:
    assert toxics.parse(toxics.document(toxic)) == toxic


@pytest.mark.parametrize(
    "toxic",
    [faults.Latency(-1), faults.Latency(float("nan")), faults.Corrupt(1.5), faults.Bandwidth(0), toxics.Answer(99)],
)
def test_a_figure_that_cannot_be_meant_is_refused(toxic: faults.Toxic) -> None:
    with pytest.raises(ExperimentError):
        toxics.document(toxic)


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(self.path.encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._say(body + (self.headers["X-Key"] or "").encode())

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Peer", "real")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def origin(stage: Stage) -> Iterator[faults.HttpOrigin]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Api) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        with faults.http_origin(stage, upstream=f"http://127.0.0.1:{server.server_port}") as made:
            yield made
        server.shutdown()


def _get(url: str, body: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(url, data=body, headers={"X-Key": "k"})  # noqa: S310 - on loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def test_without_a_fault_the_origin_passes_everything_on(origin: faults.HttpOrigin) -> None:
    assert _get(f"{origin.url}/a%20b?c=d")[:2] == (200, b"/a%20b?c=d")
    status, body, headers = _get(origin.url, b"\x00binary")
    assert (status, body) == (200, b"\x00binaryk")
    assert headers["X-Peer"] == "real"
    assert origin.counts()["requests"] == 2
    assert origin.counts()["faults"] == 0


def test_a_storm_answers_its_share_evenly_and_says_when_to_come_back(origin: faults.HttpOrigin) -> None:
    with origin.answering(status=429, share=0.8, retry_after_seconds=2, body="slow down", ttl_seconds=10):
        answers = [_get(origin.url) for _ in range(10)]
    assert [status for status, _, _ in answers] == [429, 429, 429, 429, 200] * 2
    assert answers[0][1] == b"slow down"
    assert answers[0][2]["Retry-After"] == "2"
    counts = origin.counts()
    assert (counts["requests"], counts["faults"]) == (10, 8)
    assert counts["times"] == sorted(counts["times"])
    assert abs(counts["times"][-1] - time.monotonic()) < 5
    assert _get(origin.url)[0] == 200


def test_a_truncated_answer_promises_more_than_it_holds(origin: faults.HttpOrigin) -> None:
    import http.client

    with origin.truncating(kept=0.5, ttl_seconds=10), pytest.raises(http.client.IncompleteRead) as caught:
        _get(f"{origin.url}/0123456789")
    assert len(caught.value.partial) == 5


def test_a_hanging_request_goes_on_when_the_fault_ends(origin: faults.HttpOrigin) -> None:
    with origin.hanging(seconds=30, ttl_seconds=0.3):
        began = time.monotonic()
        assert _get(origin.url)[0] == 200
        assert 0.2 < time.monotonic() - began < 5


def test_a_stopped_process_goes_on_when_its_drill_is_killed(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "from prodsprints.drills import faults\n"
        "peer = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "with faults.stopped(peer.pid, ttl_seconds=60):\n"
        "    print(peer.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    import psutil

    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as drill:
        assert drill.stdout is not None
        peer = psutil.Process(int(drill.stdout.readline()))
        eventually(lambda: peer.status() == psutil.STATUS_STOPPED)
        drill.send_signal(signal.SIGKILL)
    try:
        eventually(lambda: peer.status() != psutil.STATUS_STOPPED, seconds=2)
    finally:
        peer.kill()


def test_only_what_the_drill_started_is_signalled() -> None:
    with pytest.raises(ExperimentError), faults.stopped(os.getppid(), ttl_seconds=1):
        pass
    with pytest.raises(ExperimentError), faults.killed(1):
        pass


def test_faults_are_gone_within_a_second_of_the_drills_death(echo_port: int) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from prodsprints.drills import faults\n"
        "from prodsprints.drills.stage import Arm, Stage\n"
        "from prodsprints.kernel.settings import Settings\n"
        "stage = Stage(directory=Path('.'), settings=Settings.from_environment({}), admin=None, arm=Arm.TREATMENT,\n"
        "    config={}, limit_seconds=60, emit=print)\n"
        "with faults.tcp_proxy(stage, upstream=('127.0.0.1', int(sys.argv[1]))) as proxy:\n"
        "    with proxy.toxic(faults.Latency(30), ttl_seconds=60):\n"
        "        print(proxy.port, flush=True)\n"
        "        time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, str(echo_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as drill:
        assert drill.stdout is not None
        port = int(drill.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            line.sendall(b"held back")
            drill.send_signal(signal.SIGKILL)
            began = time.monotonic()
            assert line.recv(100) == b"held back"
            assert time.monotonic() - began < 1
            assert _echoed(line)[0] == b"hello"
