"""Quotas to try things on, and providers' APIs as doubles of ours on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

from prodsprints.controls.providers.quotas import book
from prodsprints.controls.providers.quotas.forecast import Sample
from prodsprints.controls.providers.quotas.model import Place, Quota, Source
from prodsprints.kernel import clock
from prodsprints.store.database import Database

SEATS = Place("acme", "team-7", "", "", "seats")


def daily(values: Sequence[float], now: datetime) -> list[Sample]:
    """One measurement a day, the last one a minute ago."""
    last = len(values) - 1
    return [Sample(now - timedelta(days=last - day, minutes=1), value) for day, value in enumerate(values)]


def followed(
    db: Database, tenant: UUID, values: Sequence[float] = (), *, limit: float | None = 100.0, place: Place = SEATS
) -> Quota:
    """A quota that is kept by hand, with what was used of it day by day until now."""
    source = Source.HAND if limit is not None else Source.PROVIDER
    quota = book.follow(db, tenant, place, id=uuid4(), source=source, limit=limit)
    now = clock.now()
    return book.measure(db, tenant, quota.id, daily(values, now), now) if values else quota


@dataclass
class Told:
    """One request as the double got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Answering = Callable[[Told], tuple[int, Any]]


@dataclass
class Api:
    """A double: `answer` decides; what it was asked is kept."""

    url: str
    asked: list[Told] = field(default_factory=list)


@contextmanager
def api(answer: Answering) -> Iterator[Api]:
    """For the length of the block. An answer that is bytes is sent as it is, anything else as JSON."""
    made = Api("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told = Told(self.command, self.path, dict(self.headers), json.loads(content) if content else None)
            made.asked.append(told)
            status, body = answer(told)
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
