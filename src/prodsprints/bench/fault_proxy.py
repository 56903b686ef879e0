"""`bench fault-proxy`: what drills put in front of their peers, beside the same peer without it.

The peer, the fault process and the client are three processes on loopback, as in a drill.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from prodsprints.bench.report import Figure, Progress, Result, interleave
from prodsprints.drills import faults
from prodsprints.drills.stage import Arm, Stage
from prodsprints.kernel.settings import Settings

_BENCH = "fault-proxy"
_ROUNDS = 7
_BYTES = 256 * 1_048_576
_CHUNK = 1_048_576
_PINGS = 2_000
_KILLS = 7
_LEAST_SHARE = 0.3
_MOST_ADDED_US = 40.0
_MOST_SECONDS = 1.0
_PATIENCE_SECONDS = 20.0


def cases(progress: Progress) -> Iterator[Result]:
    """All cases, each as soon as it is measured."""
    with _peer(_SINK) as port, _proxied(port) as proxy:
        progress(f"{_BENCH} 1/3: throughput, {_ROUNDS} rounds of {_BYTES >> 20} MiB")
        streams = interleave({"ours": lambda: _stream(proxy.port), "direct": lambda: _stream(port)}, _ROUNDS)
        direct = streams["direct"].value or 0.0
        least = float(round(_LEAST_SHARE * direct))
        yield Result(_BENCH, "throughput", "bytes/s", streams["ours"], {"direct": direct}, least, at_least=True)
    with _peer(_ECHO) as port, _proxied(port) as proxy:
        progress(f"{_BENCH} 2/3: added latency, {_ROUNDS} rounds of {_PINGS:,} calls")
        calls = interleave({"ours": lambda: _ping_us(proxy.port), "direct": lambda: _ping_us(port)}, _ROUNDS)
        base = calls["direct"].value or 0.0
        yield Result(_BENCH, "added-p50", "us", _over(calls["ours"], base), {"direct": base}, _MOST_ADDED_US)
        progress(f"{_BENCH} 3/3: faults gone after kill -9 of the drill, {_KILLS} times")
        gone = [_gone_after_kill(port) for _ in range(_KILLS)]
        yield Result(
            _BENCH, "gone-after-kill", "s", Figure(median(gone), _KILLS, min(gone), max(gone)), {}, _MOST_SECONDS
        )


def _over(figure: Figure, base: float) -> Figure:
    """What is added to `base`, which was measured in the same rounds."""
    added = [None if value is None else value - base for value in (figure.value, figure.minimum, figure.maximum)]
    return Figure(added[0], figure.runs, added[1], added[2])


def _stream(port: int) -> float:
    """Bytes per second until the other end has them all."""
    chunk = memoryview(bytes(_CHUNK))
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS) as line:
        began = time.perf_counter()
        for _ in range(_BYTES // _CHUNK):
            line.sendall(chunk)
        line.shutdown(socket.SHUT_WR)
        counted = int(line.recv(100))
        seconds = time.perf_counter() - began
    if counted != _BYTES:
        raise AssertionError(f"{counted} of {_BYTES} bytes arrived")
    return counted / seconds


def _ping_us(port: int) -> float:
    """The median of one call there and back, in microseconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        took = []
        for _ in range(_PINGS):
            began = time.perf_counter()
            line.sendall(b"ping")
            line.recv(64)
            took.append(time.perf_counter() - began)
    return median(took) * 1e6


def _gone_after_kill(port: int) -> float:
    """Seconds from the drill's death until what its fault held back has arrived."""
    command = [sys.executable, "-m", "prodsprints.bench.fault_proxy", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as drill:
        assert drill.stdout is not None  # noqa: S101 - asked for above
        with socket.create_connection(("127.0.0.1", int(drill.stdout.readline())), timeout=_PATIENCE_SECONDS) as line:
            line.sendall(b"ping")
            drill.kill()
            began = time.perf_counter()
            line.recv(64)
            return time.perf_counter() - began


@contextmanager
def _proxied(port: int) -> Iterator[faults.TcpProxy]:
    here = Path.cwd()  # a proxy writes nothing, and a killed drill could not remove a directory
    stage = Stage(
        directory=here,
        settings=Settings.from_environment({"PRODSPRINTS_HOME": str(here)}),
        admin=None,
        arm=Arm.TREATMENT,
        config={},
        limit_seconds=600,
        emit=lambda _: None,
    )
    with stage.open(), faults.tcp_proxy(stage, upstream=("127.0.0.1", port)) as proxy:
        yield proxy


@contextmanager
def _peer(program: str) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as peer:
        try:
            assert peer.stdout is not None  # noqa: S101 - asked for above
            yield int(peer.stdout.readline())
        finally:
            peer.kill()


_SERVE = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0), backlog=16)
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""
_SINK = (
    """
def serve(connection):
    buffer, count = bytearray(1 << 20), 0
    while more := connection.recv_into(buffer):
        count += more
    connection.sendall(str(count).encode())
    connection.close()
"""
    + _SERVE
)
_ECHO = (
    """
def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while more := connection.recv(65536):
        connection.sendall(more)
    connection.close()
"""
    + _SERVE
)


def _drill(port: int) -> None:
    """A drill that is there to be killed: its fault would hold everything back for a minute."""
    with _proxied(port) as proxy, proxy.toxic(faults.Latency(60), ttl_seconds=60):
        sys.stdout.write(f"{proxy.port}\n")
        sys.stdout.flush()
        time.sleep(600)


if __name__ == "__main__":
    _drill(int(sys.argv[1]))
