"""Asking an app whether it is well: one bounded HTTP request to its own port."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

_TIMEOUT_SECONDS = 5.0
_REST_SECONDS = 0.1
_MAX_READS = 16


@dataclass(frozen=True)
class Answer:
    """What the app said: its status, or in words why there was none. `refused` when nobody listens."""

    status: int | None
    words: str
    refused: bool = False

    def healthy(self, *, any_answer: bool) -> bool:
        """2xx and 3xx; with `any_answer` everything that is no server error."""
        return self.status is not None and (200 <= self.status < 400 or (any_answer and self.status < 500))


async def ask(port: int, path: str) -> Answer:
    """GET `path` on 127.0.0.1:`port`."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await _ask(port, path)
    except TimeoutError:
        return Answer(None, f"GET {path} was not answered within {_TIMEOUT_SECONDS:g} s")
    except ConnectionRefusedError:
        return Answer(None, f"nothing listens on port {port}", refused=True)
    except (OSError, ValueError) as error:
        return Answer(None, f"GET {path} was cut off: {error}")


async def _ask(port: int, path: str) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=16_384)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: prodsprints\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        line = (await reader.readline()).split(None, 2)
        if len(line) < 2 or not line[0].startswith(b"HTTP/") or not line[1].isdigit():
            return Answer(None, f"what listens on port {port} does not speak HTTP")
        status = int(line[1])
        # Read on: a server that finds its answer unread logs a broken pipe at every check.
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_REST_SECONDS):
                for _ in range(_MAX_READS):
                    if not await reader.read(16_384):
                        break
        return Answer(status, f"GET {path} answered {status}")
    finally:
        writer.close()
