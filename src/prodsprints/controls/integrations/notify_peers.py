"""What notifications are sent to in drills, benchmarks and tests: a real SMTP server, and doubles of Slack and Twilio.

All on loopback. Each writes down what it took, and when: by that it is seen what arrived, in which order, how often.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import importlib.metadata
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from prodsprints.controls.providers.guards import Guards
from prodsprints.drills.experiment import Peer, PeerClass

AIOSMTPD = Peer("aiosmtpd", importlib.metadata.version("aiosmtpd"), PeerClass.ENGINE)
SLACK = Peer("a loopback double of Slack's incoming webhook", "1", PeerClass.DOUBLE)
TWILIO = Peer("a loopback double of Twilio's messages API", "1", PeerClass.DOUBLE)

_START_SECONDS = 5.0
_UNLIMITED = '[slack.limit]\nrate = 100000\nburst = 100000\ncounted_per = "double"\nsays = "a double has none"\n'


def unlimited(directory: Path) -> Guards:
    """Guards by which a double of Slack is asked as often as one likes; the real one takes a message a second."""
    profiles = directory / "providers.toml"
    profiles.write_text(_UNLIMITED)
    return Guards(profiles=profiles)


@dataclass(frozen=True)
class Taken:
    """One message that a peer took: by what it can be recognised, its subject, and when (`time.monotonic()`)."""

    key: str
    subject: str
    at: float


@dataclass
class Box:
    """What a peer took, in order; any thread may look."""

    port: int
    taken: list[Taken] = field(default_factory=list)

    def subjects(self) -> list[str]:
        """The subjects in the order of their arrival."""
        return [one.subject for one in list(self.taken)]


@dataclass
class HttpBox(Box):
    """An HTTP double. Set `status` and the others to let it answer otherwise from the next request on."""

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: int = 0

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"


@dataclass
class MailBox(Box):
    """An SMTP server. Set `refusing` to an answer such as `550 no such user` to let it refuse every letter."""

    refusing: str = ""
    silent_after: bool = False
    """Take the letter, and then say nothing any more."""


@contextmanager
def slack() -> Iterator[HttpBox]:
    """A double of Slack's incoming webhook."""

    def take(headers: Mapping[str, str], content: bytes) -> tuple[str, str, bytes]:
        return headers["Idempotency-Key"], json.loads(content)["text"], b"ok"

    with _http(take) as box:
        yield box


@contextmanager
def twilio() -> Iterator[HttpBox]:
    """A double of Twilio's API for messages."""

    def take(headers: Mapping[str, str], content: bytes) -> tuple[str, str, bytes]:
        form = dict(urllib.parse.parse_qsl(content.decode()))
        return headers["Idempotency-Key"], form["Body"], b'{"sid": "SM00000000000000000000000000000000"}'

    with _http(take) as box:
        yield box


@contextmanager
def smtp() -> Iterator[MailBox]:
    """A real SMTP server, which keeps what it takes in memory."""
    box = MailBox(0)
    loop, started, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        server = await loop.create_server(lambda: SMTP(_Handler(box), hostname="localhost"), "127.0.0.1", 0)
        box.port = server.sockets[0].getsockname()[1]
        started.set()
        await ended.wait()
        server.close()

    def run() -> None:
        loop.run_until_complete(serve())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=run, name="smtp", daemon=True)
    thread.start()
    if not started.wait(_START_SECONDS):
        raise TimeoutError("aiosmtpd did not start")
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(_START_SECONDS)


class _Handler:
    """aiosmtpd calls these by their names."""

    def __init__(self, box: MailBox) -> None:
        self._box = box

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self._box.refusing:
            return self._box.refusing
        mail = email.message_from_bytes(_bytes(envelope.content), policy=email.policy.default)
        self._box.taken.append(Taken(str(mail["Message-ID"]), str(mail["Subject"]), time.monotonic()))
        if self._box.silent_after:
            await server.push("250 taken")
            await asyncio.sleep(60)
        return "250 taken"


@contextmanager
def _http(take: Any) -> Iterator[HttpBox]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            box.asked += 1
            body = box.body or b""
            if box.status < 300 and box.body is None:
                key, subject, body = take(self.headers, content)
                box.taken.append(Taken(key, subject, time.monotonic()))
            self.send_response(box.status)
            for name, value in box.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: it would be written to the drill's output."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A connection that a fault has broken is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    box = HttpBox(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_START_SECONDS)


def _bytes(content: bytes | str | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""
