"""What the drills of providers break: AWS's API by moto, in a process of its own behind the fault origin."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from prodsprints.controls.dns import names
from prodsprints.controls.providers.answers import Identity
from prodsprints.controls.providers.aws import Aws
from prodsprints.controls.providers.signing import Signer
from prodsprints.drills import faults
from prodsprints.drills.errors import FaultDeviceError
from prodsprints.drills.experiment import Peer, PeerClass
from prodsprints.drills.faults import HttpOrigin
from prodsprints.drills.stage import Stage
from prodsprints.guard import Answer

MOTO = Peer("moto server behind the fault origin", importlib.metadata.version("moto"), PeerClass.DOUBLE)
ACCOUNT = "123456789012"
ALIAS = "shop-production"
REGION = "eu-central-1"

_START_SECONDS = 15.0
_TRIES = 5
_CREDENTIALS = "[default]\naws_access_key_id = drill\naws_secret_access_key = only-for-the-drill\n"


@dataclass(frozen=True)
class Cloud:
    """An AWS of our own: the origin that callers are sent to, and the process behind it."""

    origin: HttpOrigin
    process: int


@contextmanager
def cloud(stage: Stage) -> Iterator[Cloud]:
    """For the length of the arm, and credentials for it where botocore finds them."""
    with moto() as (url, process), faults.http_origin(stage, upstream=url) as origin, credentials(stage.directory):
        with bare(Cloud(origin, process)) as caller:
            caller.give_alias()
        yield Cloud(origin, process)


class Bare:
    """AWS called without a guard and without a memory."""

    def __init__(self, http: httpx.Client, cloud: Cloud) -> None:
        self._http = http
        self._signer = Signer()
        self._sts, self._iam = (self._signer.service(name, REGION, cloud.origin.url) for name in ("sts", "iam"))
        self._aws = Aws(http, self._signer, sts=self._sts, iam=self._iam)

    def identity(self) -> Identity:
        """As `Account.identity`."""
        return self._aws.identity()

    def alias(self, _account: str) -> Answer[str]:
        """As `Account.alias`."""
        return Answer(self._aws.alias())

    def give_alias(self) -> None:
        """Give the account its alias."""
        request = self._signer.signed(self._iam, f"Action=CreateAccountAlias&Version=2010-05-08&AccountAlias={ALIAS}")
        self._http.post(request.url, content=request.body, headers=request.headers).raise_for_status()


@contextmanager
def bare(cloud: Cloud) -> Iterator[Bare]:
    """A bare caller, with the same way out as ours: what differs is what a call meets on it."""
    transport = names.transport(names.of_this_process(), {}, trust=httpx.create_ssl_context())
    with httpx.Client(transport=transport, timeout=5.0) as http:
        yield Bare(http, cloud)


@contextmanager
def moto() -> Iterator[tuple[str, int]]:
    """A moto server in a process of its own: its address, and its process."""
    for _ in range(_TRIES):
        port = _free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if _comes_up(process, port):
                yield f"http://127.0.0.1:{port}", process.pid
                return
        finally:
            process.kill()
            process.wait()
    raise FaultDeviceError("No moto server could be started for the drill.", next_step="Run it again.")


@contextmanager
def credentials(directory: Path) -> Iterator[None]:
    """Credentials of the drill's own, in a file; nothing else that botocore could find counts meanwhile."""
    file = directory / "credentials"
    file.write_text(_CREDENTIALS)
    before = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AWS_")}
    os.environ |= {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_CONFIG_FILE": os.devnull}
    try:
        yield
    finally:
        del os.environ["AWS_SHARED_CREDENTIALS_FILE"], os.environ["AWS_CONFIG_FILE"]
        os.environ |= before


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
