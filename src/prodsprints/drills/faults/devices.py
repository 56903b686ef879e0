"""Fault devices as experiments use them: a TCP proxy before a peer, an HTTP origin before an API."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodsprints.drills.errors import ForeignTargetError
from prodsprints.drills.faults import toxics
from prodsprints.drills.faults.toxics import Answer, Direction, Hang, HttpToxic, Toxic, Truncate

if TYPE_CHECKING:
    from prodsprints.drills.faults.control import FaultControl
    from prodsprints.drills.stage import Stage

Address = tuple[str, int]


@contextmanager
def tcp_proxy(stage: Stage, *, upstream: Address) -> Iterator[TcpProxy]:
    """A proxy on a port of its own that passes every byte on to `upstream`, until a toxic is put on it."""
    with _device(stage, "tcp", host=_loopback(upstream[0]), port=upstream[1]) as opened:
        yield TcpProxy(stage.faults, opened["device"], ("127.0.0.1", opened["port"]))


@contextmanager
def http_origin(stage: Stage, *, upstream: str) -> Iterator[HttpOrigin]:
    """An HTTP server on a port of its own that passes every request on to `upstream`, until a fault is put on it."""
    url = urllib.parse.urlsplit(upstream)
    if url.scheme != "http" or not url.hostname:
        raise ForeignTargetError(
            f"{upstream!r} is no http://127.0.0.1:port.", next_step="Let the origin stand before a plain HTTP server."
        )
    host = _loopback(url.hostname)
    with _device(stage, "http", upstream=f"http://{_in_url(host)}:{url.port or 80}") as opened:
        yield HttpOrigin(stage.faults, opened["device"], f"http://127.0.0.1:{opened['port']}")


@dataclass(frozen=True)
class TcpProxy:
    """A TCP proxy; `address` is what the subject is given in place of its peer's."""

    _control: FaultControl
    _device: int
    address: Address

    @property
    def port(self) -> int:
        """The port of `address`."""
        return self.address[1]

    @contextmanager
    def toxic(self, toxic: Toxic, *, ttl_seconds: float, direction: Direction = Direction.TO_SUBJECT) -> Iterator[None]:
        """Put `toxic` on every connection, old and new, for the length of the block and no longer than its ttl.

        Several may be on at once; they act in the order in which they were put on. A black hole and a reset concern
        the whole connection, whatever the direction.
        """
        with _toxic(self._control, self._device, toxic, ttl_seconds, direction=direction):
            yield

    def counts(self) -> dict[str, int]:
        """`connections` so far and those `open` now, and `hits`: chunks, connections and ends that a toxic touched."""
        return dict(self._control.ask("counts", device=self._device)["counts"])


@dataclass(frozen=True)
class HttpOrigin:
    """An HTTP fault origin; `url` is the base address that the subject is given in place of its peer's."""

    _control: FaultControl
    _device: int
    url: str

    @contextmanager
    def answering(
        self,
        *,
        status: int,
        share: float = 1.0,
        retry_after_seconds: float | None = None,
        body: str = "",
        content_type: str = "text/plain",
        ttl_seconds: float,
    ) -> Iterator[None]:
        """Answer this share of requests with `status`, evenly spread and beginning with the first."""
        answer = Answer(status, share, retry_after_seconds, body, content_type)
        with _toxic(self._control, self._device, answer, ttl_seconds):
            yield

    @contextmanager
    def hanging(self, *, seconds: float, share: float = 1.0, ttl_seconds: float) -> Iterator[None]:
        """Keep this share of requests waiting before they are passed on."""
        with _toxic(self._control, self._device, Hang(seconds, share), ttl_seconds):
            yield

    @contextmanager
    def truncating(self, *, kept: float = 0.5, share: float = 1.0, ttl_seconds: float) -> Iterator[None]:
        """End this share of answers after the first part of their body."""
        with _toxic(self._control, self._device, Truncate(kept, share), ttl_seconds):
            yield

    def counts(self) -> dict[str, Any]:
        """`requests` that arrived, `faults` among them, and `times`: when each arrived (`time.monotonic()`)."""
        return dict(self._control.ask("counts", device=self._device)["counts"])


@contextmanager
def _device(stage: Stage, kind: str, **where: Any) -> Iterator[dict[str, Any]]:
    opened = stage.faults.ask(kind, **where)
    try:
        yield opened
    finally:
        stage.faults.ask("close", device=opened["device"])


@contextmanager
def _toxic(
    control: FaultControl, device: int, toxic: Toxic | HttpToxic, ttl_seconds: float, **more: Any
) -> Iterator[None]:
    put = control.ask(
        "add", device=device, toxic=toxics.document(toxic), ttl_seconds=toxics.checked_ttl(ttl_seconds), **more
    )
    try:
        yield
    finally:
        control.ask("remove", device=device, fault=put["fault"])


def _loopback(host: str) -> str:
    """`host` as an address of this machine's own; nothing else is ever aimed at."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ForeignTargetError(
        f"This drill aims at {host!r}, which is not on loopback.",
        why="A drill breaks only what its experiment started.",
        next_step="Start the peer in the experiment's `stand`, on 127.0.0.1.",
    )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
