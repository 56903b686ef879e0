"""Drills for the engine's own tests: a TCP peer and an HTTP peer, both on real sockets."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import example_control

from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage


@dataclass(frozen=True)
class Echo:
    """An echo server behind the TCP proxy."""

    proxy: faults.TcpProxy


class _EchoHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data)


class _EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was reset is what this is about."""


@contextmanager
def stand_echo(stage: Stage) -> Iterator[Echo]:
    server = _EchoServer(("127.0.0.1", 0), _EchoHandler)
    with _serving(server) as port, faults.tcp_proxy(stage, upstream=("127.0.0.1", port)) as proxy:
        yield Echo(proxy)


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


Asking = Callable[[bytes], bytes]


@contextmanager
def patient_client(stage: Stage, echo: Echo) -> Iterator[Asking]:
    yield lambda text: example_control.ask(echo.proxy.address, text)


@contextmanager
def bare_client(stage: Stage, echo: Echo) -> Iterator[Asking]:
    yield lambda text: example_control.echo(echo.proxy.address, text)


def answers(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    began = time.monotonic()
    try:
        found = ask(b"hello")
    except (OSError, example_control.GaveUpError) as error:
        stage.sample(False, time.monotonic() - began)
        return broke(f"the call failed with {type(error).__name__}")
    stage.sample(True, time.monotonic() - began)
    return held("the call was answered") if found == b"hello" else broke(f"the answer was {found!r}")


def one_bad_moment(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    """The first connections are reset; the network is well again within the waits of a patient client."""
    return answers(stage, echo, ask)


def was_hit(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    hits = echo.proxy.counts()["hits"]
    return held(f"{hits} hits") if hits else broke("no connection was touched")


@contextmanager
def resetting(stage: Stage, echo: Echo) -> Iterator[None]:
    # Long enough for a busy machine to make its call in; shorter than a patient client waits.
    with echo.proxy.toxic(faults.Reset(), ttl_seconds=0.3):
        yield


resets: Experiment[Echo, Asking] = Experiment(
    row="X001.1",
    variant="resets",
    title="A call survives connections that are reset",
    safety=Safety.SAFE,
    fault="every connection is reset for 300 ms",
    sources=("example_control",),
    peers=(Peer("echo server", "1", PeerClass.DOUBLE),),
    stand=stand_echo,
    treatment=patient_client,
    placebo=bare_client,
    steady=(Probe("a call is answered", answers),),
    inject=resetting,
    probes=(Probe("a call under the fault is answered", one_bad_moment),),
    named="a call under the fault is answered",
    seen=Probe("the connection was hit", was_hit),
    after=(Probe("a call after the fault is answered", answers),),
    limit_seconds=10,
)


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


Fetching = Callable[[], int]


@contextmanager
def stand_api(stage: Stage) -> Iterator[faults.HttpOrigin]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    with _serving(server) as port, faults.http_origin(stage, upstream=f"http://127.0.0.1:{port}") as origin:
        yield origin


@contextmanager
def patient_fetch(stage: Stage, origin: faults.HttpOrigin) -> Iterator[Fetching]:
    yield lambda: example_control.fetch(origin.url)


@contextmanager
def bare_fetch(stage: Stage, origin: faults.HttpOrigin) -> Iterator[Fetching]:
    yield lambda: example_control.get(origin.url)


def all_answered(stage: Stage, origin: faults.HttpOrigin, fetch: Fetching) -> Observation:
    statuses = []
    for _ in range(5):
        began = time.monotonic()
        statuses.append(fetch())
        stage.sample(statuses[-1] == 200, time.monotonic() - began)
    lost = sum(status != 200 for status in statuses)
    stage.measure("calls_lost", lost)
    return held("all 5 calls were answered") if not lost else broke(f"{lost} of 5 calls were lost: {statuses}")


def was_throttled(stage: Stage, origin: faults.HttpOrigin, fetch: Fetching) -> Observation:
    faulty = origin.counts()["faults"]
    return held(f"{faulty} requests were answered 429") if faulty else broke("no request was throttled")


@contextmanager
def throttling(stage: Stage, origin: faults.HttpOrigin) -> Iterator[None]:
    with origin.answering(status=429, share=0.6, retry_after_seconds=0, ttl_seconds=5):
        yield


throttled: Experiment[faults.HttpOrigin, Fetching] = Experiment(
    row="X001.1",
    variant="throttled",
    title="Calls survive throttling",
    safety=Safety.SAFE,
    fault="the provider answers 429 to 6 of 10 calls",
    sources=("example_control",),
    peers=(Peer("http.server", "3", PeerClass.DOUBLE),),
    stand=stand_api,
    treatment=patient_fetch,
    placebo=bare_fetch,
    steady=(Probe("calls are answered", all_answered),),
    inject=throttling,
    probes=(Probe("throttled calls are answered", all_answered),),
    named="throttled calls are answered",
    seen=Probe("requests were throttled", was_throttled),
    limit_seconds=10,
)
