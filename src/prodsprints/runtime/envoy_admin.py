"""Asking Envoy over its administration socket, with no HTTP library: the node agent has to stay small."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prodsprints.runtime.envoy_config import BROKEN_COUNTER

_TIMEOUT_SECONDS = 2.0
_MAX_ANSWER_BYTES = 16 * 1024**2


@dataclass(frozen=True)
class Counters:
    """One arm's requests since Envoy's start, as Envoy saw them."""

    requests: int = 0
    errors: int = 0
    active: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None


class EnvoyAdmin:
    """The administration interface on `socket`. Every question raises OSError when nobody answers it in time."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def node_id(self) -> str:
        """Whose Envoy this is."""
        return str(json.loads(await self._request("GET", "/server_info"))["node"]["id"])

    async def quit(self) -> None:
        """Ask it to end."""
        await self._request("POST", "/quitquitquit")

    async def versions(self, source: str) -> tuple[str, int]:
        """The version of `source` (`cluster_manager.cds`, …) in force, and how many were refused so far."""
        found = await self._stats(rf"^{re.escape(source)}\.(version_text|update_rejected)$")
        return str(found.get(f"{source}.version_text", "")), int(found.get(f"{source}.update_rejected", 0))

    async def counters(self, instances: Iterable[str]) -> dict[str, Counters]:
        """What each of `instances` was asked and how it answered."""
        names = list(instances)
        one_of = "|".join(map(re.escape, names)) or "-"
        kinds = "completed|5xx|active|pending_active|time"
        broken = re.escape(BROKEN_COUNTER)
        found = await self._stats(rf"^(cluster\.({one_of})\.upstream_rq_({kinds})|{broken}\.arm\.({one_of}))$")
        return {name: _counters(found, name) for name in names}

    async def _stats(self, pattern: str) -> dict[str, Any]:
        answer = json.loads(await self._request("GET", f"/stats?format=json&filter={quote(pattern, safe='')}"))
        found: dict[str, Any] = {}
        for entry in answer["stats"]:
            if "name" in entry:
                found[entry["name"]] = entry["value"]
            else:
                histograms = entry["histograms"]
                for computed in histograms.get("computed_quantiles", ()):
                    values = (value["cumulative"] for value in computed["values"])
                    found[computed["name"]] = dict(zip(histograms["supported_quantiles"], values, strict=True))
        return found

    async def _request(self, method: str, path: str) -> bytes:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await self._exchange(method, path)
        except (ValueError, asyncio.IncompleteReadError) as error:
            raise ConnectionError(f"Envoy's answer to {path[:60]} was cut off: {error}") from None

    async def _exchange(self, method: str, path: str) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        try:
            head = f"{method} {path} HTTP/1.1\r\nHost: envoy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            top, _, _ = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n\r\n")
            status, *headers = top.decode("latin-1").split("\r\n")
            if " 200 " not in f"{status} ":
                raise ConnectionError(f"Envoy answered {status!r} to {path[:60]}")
            if any(header.lower() == "transfer-encoding: chunked" for header in headers):
                return await _chunks(reader)
            return await reader.read()
        finally:
            writer.close()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int(await reader.readline(), 16):
        if len(body) + size > _MAX_ANSWER_BYTES:
            raise ConnectionError(f"Envoy's answer is larger than {_MAX_ANSWER_BYTES} bytes")
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return bytes(body)


def _counters(found: Mapping[str, Any], name: str) -> Counters:
    base = f"cluster.{name}.upstream_rq_"
    quantiles = found.get(f"{base}time", {})
    return Counters(
        requests=int(found.get(f"{base}completed", 0)),
        errors=int(found.get(f"{base}5xx", 0)) + int(found.get(f"{BROKEN_COUNTER}.arm.{name}", 0)),
        active=int(found.get(f"{base}active", 0)) + int(found.get(f"{base}pending_active", 0)),
        p50_ms=quantiles.get(50),
        p99_ms=quantiles.get(99),
    )
