"""What the drills of this risk break: real DNS servers, started on loopback for the length of a drill."""

from __future__ import annotations

import contextlib
import importlib.metadata
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.resolver

from prodsprints.controls.dns.resolver import Answer, Origin
from prodsprints.controls.dns.servers import Server
from prodsprints.drills.errors import FaultDeviceError
from prodsprints.drills.experiment import Peer, PeerClass

TWISTED = Peer("Twisted Names", importlib.metadata.version("twisted"), PeerClass.ENGINE)

_START_SECONDS = 10.0
_TRIES = 5
_FULL = 4  # connections that wait, which are more than any system queues when it is asked to queue none


@contextmanager
def dns_server(directory: Path, zone: str, records: dict[str, str]) -> Iterator[tuple[Server, int]]:
    """An authoritative server for `zone`: its address and its process. `records` are the addresses of names in it."""
    file = directory / f"{zone}.zone"
    lines = [
        f"$ORIGIN {zone}.",
        "$TTL 3600",
        f"@ IN SOA ns.{zone}. root.{zone}. 1 3600 600 86400 1",
        f"@ IN NS ns.{zone}.",
    ]
    file.write_text("\n".join([*lines, *(f"{name} IN A {address}" for name, address in records.items())]) + "\n")
    for _ in range(_TRIES):
        server = Server("127.0.0.1", _free_port())
        process = subprocess.Popen(
            [sys.executable, "-m", "twisted", "dns", f"--interface={server.address}", f"--port={server.port}",
             f"--bindzone={file}"],
            cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            if _comes_up(process, lambda: answers(server, f"{next(iter(records))}.{zone}", within_seconds=0.2)):  # noqa: B023 - called at once
                yield server, process.pid
                return
        finally:
            process.kill()
            process.wait()
    raise FaultDeviceError("No DNS server could be started for the drill.", next_step="Run it again.")


def answers(server: Server, name: str, *, within_seconds: float = 0.3) -> bool:
    """Whether `server` answers for `name`, asked past everything that is drilled."""
    query = dns.message.make_query(name, "A")
    try:
        dns.query.udp(query, server.address, timeout=within_seconds, port=server.port)
    except (dns.exception.DNSException, OSError):
        return False
    return True


@contextmanager
def silent(address: str, port: int) -> Iterator[None]:
    """Nobody answers there: a connection neither comes about nor is refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        with contextlib.suppress(OSError):  # macOS has 127.0.0.1 only: the others are silent as they are
            listener.bind((address, port))
            listener.listen(0)
            for _ in range(_FULL):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((address, port))
        yield


class StubResolver:
    """dnspython's own resolver as it is: several servers, no memory."""

    def __init__(self, servers: tuple[Server, ...]) -> None:
        self._stub = dns.resolver.Resolver(configure=False)
        self._stub.nameservers = [dns.nameserver.Do53Nameserver(server.address, server.port) for server in servers]

    def resolve(self, name: str, *, within_seconds: float = 0.5) -> Answer:
        """The addresses of `name`. Raises DNSException."""
        found = self._stub.resolve(name, "A", lifetime=within_seconds)
        return Answer(name, tuple(record.address for record in found), 0.0, Origin.ANSWERED)


def _comes_up(process: subprocess.Popen[bytes], is_up: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if is_up():
            return True
        time.sleep(0.02)
    return False


def _free_port() -> int:
    """A port that nobody has on UDP nor on TCP; somebody may take it before the server does, hence the tries."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port = int(udp.getsockname()[1])
            with contextlib.suppress(OSError):
                tcp.bind(("127.0.0.1", port))
                return port
