"""The HTTP fault origin inside the fault process: passes requests on, or answers as a peer in trouble would."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import Any

import aiohttp
from aiohttp import web

from prodsprints.drills.faults.toxics import Answer, Hang, HttpToxic, Truncate

_MOST_TIMES = 100_000
_MOST_BODY_BYTES = 16 * 1_048_576
_UPSTREAM_SECONDS = 30.0
_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
        *("transfer-encoding", "upgrade", "content-length"),
    }
)


class Origin:
    """One listening port before one HTTP server."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._toxics: dict[int, tuple[HttpToxic, asyncio.Event]] = {}
        self._chosen: dict[int, tuple[int, int]] = {}
        self._requests = 0
        self._faults = 0
        self._times: deque[float] = deque(maxlen=_MOST_TIMES)
        self._runner: web.ServerRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def listen(self) -> int:
        """Begin; returns the port."""
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=256),
            timeout=aiohttp.ClientTimeout(total=_UPSTREAM_SECONDS),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        server = web.Server(self._answer, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=512)
        await site.start()
        return int(self._runner.addresses[0][1])

    def close(self) -> None:
        """Stop listening, and drop what is under way."""
        for runner in (self._runner, self._session):
            if runner is not None:
                closing = runner.cleanup() if isinstance(runner, web.BaseRunner) else runner.close()
                _closing.add(task := asyncio.get_running_loop().create_task(closing))
                task.add_done_callback(_closing.discard)

    def add(self, fault: int, toxic: HttpToxic, *, direction: str = "") -> None:  # noqa: ARG002 - all devices alike
        """Begin a fault."""
        self._toxics[fault] = (toxic, asyncio.Event())
        self._chosen[fault] = (0, 0)

    def remove(self, fault: int) -> str | None:
        """End a fault; None if it had ended before. Whoever it kept waiting goes on."""
        gone = self._toxics.pop(fault, None)
        self._chosen.pop(fault, None)
        if gone is not None:
            gone[1].set()
        return None if gone is None else repr(gone[0])

    def active(self) -> list[str]:
        """What is on now, in words."""
        return [f"{toxic} before {self._upstream}" for toxic, _ in self._toxics.values()]

    def counts(self) -> dict[str, Any]:
        """What arrived, how much of it met a fault, and when."""
        return {"requests": self._requests, "faults": self._faults, "times": list(self._times)}

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._requests += 1
        self._times.append(time.monotonic())
        for fault, (toxic, ended) in list(self._toxics.items()):
            if not self._is_hit(fault, toxic.share):
                continue
            self._faults += 1
            if isinstance(toxic, Answer):
                return _as_told(toxic)
            if isinstance(toxic, Truncate):
                return await self._pass_on(request, kept=toxic.kept)
            await _wait(toxic, ended)
        return await self._pass_on(request, kept=1.0)

    def _is_hit(self, fault: int, share: float) -> bool:
        """Evenly spread and beginning with the first: of any n requests, n times the share, rounded up."""
        seen, hit = self._chosen[fault]
        chosen = math.ceil((seen + 1) * share - 1e-9) > hit
        self._chosen[fault] = (seen + 1, hit + chosen)
        return chosen

    async def _pass_on(self, request: web.BaseRequest, *, kept: float) -> web.StreamResponse:
        assert self._session is not None  # noqa: S101 - made by listen()
        try:
            body = await request.content.read(_MOST_BODY_BYTES) if request.body_exists else None
            async with self._session.request(
                request.method,
                self._upstream + request.raw_path,
                headers=_end_to_end(request.headers),
                data=body,
                allow_redirects=False,
            ) as answer:
                content = await answer.content.read(_MOST_BODY_BYTES)
                headers = _end_to_end(answer.headers)
        except (aiohttp.ClientError, TimeoutError):
            _hang_up(request)  # as a peer that is not there answers
            raise ConnectionResetError from None
        if kept >= 1.0:
            return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=content)
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        response.content_length = len(content)
        await response.prepare(request)
        await response.write(content[: int(len(content) * kept)])
        _hang_up(request)
        return response


_closing: set[asyncio.Task[None]] = set()


def _as_told(toxic: Answer) -> web.Response:
    headers = {}
    if toxic.retry_after_seconds is not None:
        headers["Retry-After"] = f"{toxic.retry_after_seconds:g}"
    return web.Response(status=toxic.status, text=toxic.body, content_type=toxic.content_type, headers=headers)


async def _wait(toxic: Hang, ended: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(toxic.seconds):
            await ended.wait()
    except TimeoutError:
        return


def _hang_up(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.close()


def _end_to_end(headers: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]
