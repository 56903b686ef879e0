"""What the drills of the status page break: a real HTTP service; and what they read: our pages, or a static one."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx

from prodsprints.drills import faults
from prodsprints.drills.errors import FaultDeviceError
from prodsprints.drills.experiment import Peer, PeerClass
from prodsprints.drills.faults import HttpOrigin
from prodsprints.drills.stage import Stage
from prodsprints.store import scratch
from prodsprints.store.address import Address
from prodsprints.store.database import Database, one

SERVICE = Peer("http.server", platform.python_version(), PeerClass.ENGINE)
POSTGRES = Peer("PostgreSQL", "the platform's own", PeerClass.ENGINE)

NAME = "Shop"
TENANT = "default"
ALL_WELL = "All services work."

_START_SECONDS = 30.0
_TRIES = 5


@dataclass
class Reader:
    """What a visitor without a login reads: three documents below one address."""

    address: str
    page: str
    status: str
    feed: str

    def get(self, path: str) -> str:
        """One of them as it is now; empty if nobody answers."""
        try:
            answer = httpx.get(self.address + path, timeout=5.0, trust_env=False)
        except httpx.TransportError:
            return ""
        return answer.text if answer.status_code == httpx.codes.OK else ""


@dataclass
class Scene:
    """A service in a process of its own, the origin before it, and an empty platform's database.

    `broke_at` is when the fault began, and `healed_at` when it ended, by `time.monotonic()`.
    """

    directory: Path
    origin: HttpOrigin
    process: subprocess.Popen[bytes]
    port: int
    address: Address
    db: Database
    tenant: UUID
    broke_at: float = 0.0
    healed_at: float = 0.0
    began: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def direct(self) -> str:
        """The service without the origin."""
        return f"http://127.0.0.1:{self.port}/"

    def start_again(self) -> None:
        """The service, on its port, after it was killed."""
        self.process.wait()
        self.process = _server(self.directory / "service", self.port)
        self.began.append(self.process)
        _comes_up(self.process, self.port)


@contextmanager
def scene(stage: Stage) -> Iterator[Scene]:
    """For the length of the arm."""
    files = stage.directory / "service"
    files.mkdir()
    (files / "index.html").write_text("well")
    with (
        _served(files) as (process, port),
        faults.http_origin(stage, upstream=f"http://127.0.0.1:{port}") as origin,
        scratch.database(stage.admin) as address,
        closing(Database(address, max_connections=4)) as db,
    ):
        with db.dispatch() as connection:
            row = connection.execute("insert into tenants (name) values (%s) returning id", [TENANT]).fetchone()
        made = Scene(stage.directory, origin, process, port, address, db, one(row)["id"])
        try:
            yield made
        finally:
            for again in made.began:
                again.kill()
                again.wait()


@contextmanager
def pages(stage: Stage, scene: Scene) -> Iterator[Reader]:
    """The platform's own web process on the scene's database, as `prodsprints up` starts it."""
    port = _free_port()
    home = stage.directory / "home"
    told = {
        "PRODSPRINTS_HOME": str(home),
        "PRODSPRINTS_DATABASE_URL": scene.address.conninfo,
        "PRODSPRINTS_HOST": "127.0.0.1",
        "PRODSPRINTS_PORT": str(port),
    }
    with _running(["-m", "prodsprints.cli.main", "web"], home, told) as process:
        reader = Reader(f"http://127.0.0.1:{port}", "/status", "/v1/status", "/status/feed.atom")
        if not _comes_up(process, port):
            raise FaultDeviceError("The pages did not start for the drill.", next_step="Run it again.")
        yield reader


@contextmanager
def bare_pages(stage: Stage, _: Scene) -> Iterator[Reader]:
    """The usual status page: written by hand, and well until somebody writes otherwise."""
    files = stage.directory / "static"
    files.mkdir()
    (files / "status.html").write_text(f"<h1>Status</h1><p>{ALL_WELL}</p><h3>{NAME}</h3><p>Works</p>")
    (files / "status.json").write_text(f'{{"level": "up", "services": [{{"name": "{NAME}", "level": "up"}}]}}')
    (files / "feed.atom").write_text('<feed xmlns="http://www.w3.org/2005/Atom"><title>Status</title></feed>')
    with _served(files) as (_process, port):
        yield Reader(f"http://127.0.0.1:{port}", "/status.html", "/status.json", "/feed.atom")


@contextmanager
def _served(files: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    for _ in range(_TRIES):
        port = _free_port()
        process = _server(files, port)
        try:
            if _comes_up(process, port):
                yield process, port
                return
        finally:
            process.kill()
            process.wait()
    raise FaultDeviceError("No HTTP server could be started for the drill.", next_step="Run it again.")


def _server(files: Path, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(files)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def _running(arguments: Sequence[str], home: Path, told: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    home.mkdir(mode=0o700)
    with (home / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], env={**os.environ, **told}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _comes_up(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


def _free_port() -> int:
    """Somebody may take it before the server does, hence the tries."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
