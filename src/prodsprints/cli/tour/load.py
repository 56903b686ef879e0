"""Steady, bounded traffic to an address on this machine, counted: `python -m prodsprints.cli.tour.load URL…`.

A process of its own, so that drawing a terminal never disturbs its beat. It prints its counts as a JSON line each
second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import itertools
import json
import os
import sys
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import aiohttp

_MOST_PER_SECOND = 1_000
_MOST_SECONDS = 1_800
_MOST_UNDER_WAY = 128
_TIMEOUT_SECONDS = 10.0
_REPORT_SECONDS = 1.0


@dataclass
class Counts:
    """What was asked, and how it was answered. The canary's own errors are what it is released to show."""

    requests: int = 0
    failed_requests: int = 0
    canary_errors: int = 0

    def answered(self, status: int, headers: Mapping[str, str], canary: str) -> None:
        """Count one answer: a 5xx that the canary's application gave is its own; anything else not good failed."""
        if 200 <= status < 400:
            return
        # Envoy adds the second header only when the application answered: what it says itself is not the canary's.
        own = headers.get("x-prodsprints-release") == canary and "x-envoy-upstream-service-time" in headers
        if status >= 500 and own:
            self.canary_errors += 1
        else:
            self.failed_requests += 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask until a bound is reached, or somebody ends it."""
    parser = argparse.ArgumentParser(prog="python -m prodsprints.cli.tour.load", description=__doc__)
    parser.add_argument("urls", nargs="+", metavar="URL", help="on 127.0.0.1; asked in turn")
    parser.add_argument("--rate", type=int, default=300, help=f"requests a second, at most {_MOST_PER_SECOND}")
    parser.add_argument("--seconds", type=float, default=_MOST_SECONDS, help=f"at most {_MOST_SECONDS}")
    parser.add_argument("--canary", default="", help="the version whose own 5xx are counted apart")
    parser.add_argument("--held", action="store_true", help="end when the input does: whoever started it holds it")
    options = parser.parse_args(arguments)
    if not all(_on_this_machine(url) for url in options.urls):
        parser.error("this tool asks addresses on the loopback interface only")
    rate, seconds = min(max(1, options.rate), _MOST_PER_SECOND), min(options.seconds, _MOST_SECONDS)
    with contextlib.suppress(KeyboardInterrupt):
        _run(_ask(options.urls, rate, seconds, options.canary, held=options.held))
    return 0


async def _ask(urls: Sequence[str], rate: int, seconds: float, canary: str, *, held: bool) -> None:
    counts = Counts()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    if held:
        threading.Thread(target=_read_to_end, args=[loop, ended], daemon=True).start()
    reporting = loop.create_task(_report(counts))
    under_way: set[asyncio.Task[None]] = set()
    began = loop.time()
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    connector = aiohttp.TCPConnector(limit=_MOST_UNDER_WAY)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        for number, url in zip(itertools.count(1), itertools.cycle(urls), strict=False):
            if ended.is_set() or loop.time() - began > seconds:
                break
            if len(under_way) < _MOST_UNDER_WAY:
                task = loop.create_task(_one(session, url, counts, canary))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.sleep(began + number / rate - loop.time())
        if under_way:
            await asyncio.wait(under_way)
    reporting.cancel()
    _print(counts)


def _read_to_end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    with contextlib.suppress(RuntimeError):  # it ended by itself
        loop.call_soon_threadsafe(ended.set)


async def _one(session: aiohttp.ClientSession, url: str, counts: Counts, canary: str) -> None:
    counts.requests += 1
    try:
        async with session.get(url, allow_redirects=False) as response:
            await response.read()
            counts.answered(response.status, response.headers, canary)
    except (aiohttp.ClientError, TimeoutError, OSError):
        counts.failed_requests += 1


async def _report(counts: Counts) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        _print(counts)


def _print(counts: Counts) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(asdict(counts)) + "\n")
        sys.stdout.flush()


def _on_this_machine(url: str) -> bool:
    parts = urlsplit(url)
    with contextlib.suppress(ValueError):
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    return False


def _run(work: Coroutine[None, None, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    sys.exit(main())
