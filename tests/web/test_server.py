from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.runtime.lifeline import VARIABLE
from prodsprints.store.database import Database
from prodsprints.web import tokens
from support_waiting import eventually
from web.support_workshop import Workshop


@dataclass
class Process:
    """A web process of its own, and our end of its lifeline."""

    running: subprocess.Popen[str]
    address: str
    lifeline: int


@pytest.fixture
def process(settings: Settings, database: Database) -> Iterator[Process]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    end, lifeline = os.pipe()
    script = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, stream=sys.stderr)\n"
        "from prodsprints.kernel.settings import Settings\n"
        "from prodsprints.store.address import Address\n"
        "from prodsprints.web.server import serve\n"
        "serve(Settings.from_environment(), Address(sys.argv[1]))\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", script, database.address.conninfo],
        env={
            "PATH": os.defpath,
            "PRODSPRINTS_HOME": str(settings.home),
            "PRODSPRINTS_PORT": str(port),
            VARIABLE: str(end),
        },
        pass_fds=(end,),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(end)
    address = f"http://127.0.0.1:{port}"
    eventually(lambda: _answers(address))
    yield Process(running, address, lifeline)
    running.kill()
    running.wait()
    if running.stdout:
        running.stdout.close()


def test_the_web_process_ends_with_its_supervisor_although_somebody_follows_a_log(
    process: Process, database: Database, tenant: UUID, workshop: Workshop
) -> None:
    release = workshop.release(workshop.environment())
    token = tokens.mint(database, tenant, actor="ada", purpose="api", seconds=60).value
    with (
        httpx.Client(headers={"Authorization": f"Bearer {token}"}, trust_env=False) as reader,
        reader.stream("GET", f"{process.address}/v1/releases/{release.id}/events") as stream,
    ):
        assert stream.status_code == 200
        os.close(process.lifeline)
        assert process.running.wait(timeout=8) == 0


def test_no_login_code_and_no_token_reaches_the_log(process: Process, database: Database, tenant: UUID) -> None:
    code = tokens.mint(database, tenant, actor="ada", purpose="login", seconds=60).value
    token = tokens.mint(database, tenant, actor="ada", purpose="api", seconds=60).value
    with httpx.Client(base_url=process.address, headers={"Origin": process.address}, trust_env=False) as client:
        client.get(f"/login/{code}")
        client.post("/login", data={"code": code})
        client.post("/login", data={"code": code})
        client.post("/v1/login-links", headers={"Authorization": f"Bearer {token}"})
        client.get("/v1/nothing", params={"code": code})
    os.close(process.lifeline)
    written, _ = process.running.communicate(timeout=8)
    assert code not in written
    assert token not in written


def test_the_web_process_stops_when_asked(process: Process) -> None:
    process.running.send_signal(signal.SIGTERM)
    assert process.running.wait(timeout=8) in {0, -signal.SIGTERM}
    os.close(process.lifeline)


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{address}/v1/health", timeout=5, trust_env=False).is_success
    return False
