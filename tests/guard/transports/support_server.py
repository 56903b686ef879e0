"""A real HTTP server on loopback that answers as it is told, one answer after the other, the last one for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One answer: after `wait_seconds`; `drip_seconds` between the bytes of its body; `cut` hangs up before it."""

    status: int = 200
    body: bytes = b"fine"
    headers: dict[str, str] = field(default_factory=dict)
    wait_seconds: float = 0.0
    drip_seconds: float = 0.0
    cut: bool = False


@dataclass
class Server:
    """Its address, and what it was sent: method and body of each request, and when it came."""

    url: str
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


@contextmanager
def answering(answers: Sequence[Answer]) -> Iterator[Server]:
    lock = threading.Lock()
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self._body()
            with lock:
                told = answers[min(len(server.seen), len(answers) - 1)]
                server.seen.append((self.command, body))
                server.times.append(time.monotonic())
            ended.wait(told.wait_seconds)
            if told.cut:
                self.close_connection = True
                return
            self.send_response(told.status)
            for name, value in {"Content-Length": str(len(told.body)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for at in range(0, len(told.body), 1 if told.drip_seconds else len(told.body)):
                ended.wait(told.drip_seconds)
                self.wfile.write(told.body[at : at + 1] if told.drip_seconds else told.body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - as the server calls them

        def handle(self) -> None:
            with suppress(ConnectionError):  # a caller that gave up
                super().handle()

        def log_message(self, *_: object) -> None: ...

    class Listening(ThreadingHTTPServer):
        daemon_threads = True

    with Listening(("127.0.0.1", 0), Handler) as listening:
        server = Server(f"http://127.0.0.1:{listening.server_port}")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            listening.shutdown()
            thread.join()
