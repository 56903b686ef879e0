"""A small drill on real sockets that takes a second: a throttling storm, and a client that tries again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import support_patience
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage

ROW = "R001.1"
Fetching = Callable[[], int]


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def _stand(stage: Stage) -> Iterator[faults.HttpOrigin]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        with faults.http_origin(stage, upstream=f"http://127.0.0.1:{server.server_address[1]}") as origin:
            yield origin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _patient(_: Stage, origin: faults.HttpOrigin) -> Iterator[Fetching]:
    yield lambda: support_patience.fetch(origin.url)


@contextmanager
def _bare(_: Stage, origin: faults.HttpOrigin) -> Iterator[Fetching]:
    yield lambda: support_patience.fetch_once(origin.url)


def _answered(stage: Stage, _: faults.HttpOrigin, fetch: Fetching) -> Observation:
    lost = 0
    for _call in range(20):
        began = time.monotonic()
        ok = fetch() == 200
        stage.sample(ok, time.monotonic() - began)
        lost += not ok
    stage.measure("calls_lost", lost)
    return broke(f"{lost} of 20 calls were lost.") if lost else held("All 20 calls were answered.")


def _throttled(_: Stage, origin: faults.HttpOrigin, __: Fetching) -> Observation:
    seen = origin.counts()["faults"]
    return held(f"{seen} requests were answered 429.") if seen else broke("No request was throttled.")


@contextmanager
def _throttling(_: Stage, origin: faults.HttpOrigin) -> Iterator[None]:
    with origin.answering(status=429, share=0.5, ttl_seconds=5):
        yield


storm: Experiment[faults.HttpOrigin, Fetching] = Experiment(
    row=ROW,
    variant="throttling-storm",
    title="Calls survive a throttling storm",
    safety=Safety.SAFE,
    fault="the provider answers 429 to 5 of 10 calls",
    sources=("support_patience",),
    peers=(Peer("http.server", "3.11", PeerClass.DOUBLE), Peer("python", "3.11", PeerClass.ENGINE)),
    stand=_stand,
    treatment=_patient,
    placebo=_bare,
    steady=(Probe("calls are answered", _answered),),
    inject=_throttling,
    probes=(Probe("every call is answered under the storm", _answered),),
    named="every call is answered under the storm",
    seen=Probe("the provider refused calls", _throttled),
    after=(Probe("calls are answered again", _answered),),
    limit_seconds=15,
    scale="waits are 1/50 of production's",
)
destructive = replace(storm, variant="crash", title="It survives a crash", safety=Safety.DESTRUCTIVE)
