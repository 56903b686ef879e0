"""The TCP proxy inside the fault process: byte for byte, until a toxic is on."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from prodsprints.drills.faults.toxics import (
    Bandwidth,
    Blackhole,
    Corrupt,
    Direction,
    Latency,
    Reset,
    Slice,
    SlowClose,
    Toxic,
)

_HIGH_BYTES = 262_144
_LOW_BYTES = 65_536
_MOST_CONNECTIONS = 1_024
_CONNECT_SECONDS = 5.0
_PIECES_PER_SECOND = 50
_MOST_PIECES = 4_096
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time left: close() sends RST


class Proxy:
    """One listening port, its connections, and the toxics on them."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._toxics: dict[int, tuple[Toxic, Direction]] = {}
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self.random = random.Random(port)  # noqa: S311 - reproducible, not secret
        self.connections = 0
        self.hits = 0
        self.blackholed = False

    async def listen(self) -> int:
        """Begin; returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Link(self).subject, "127.0.0.1", 0, backlog=512)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.abort()

    def add(self, fault: int, toxic: Toxic, *, direction: str) -> None:
        """Put a toxic on."""
        self._toxics[fault] = (toxic, Direction(direction))
        self._changed()

    def remove(self, fault: int) -> str | None:
        """Take a toxic off; None if it had ended before."""
        gone = self._toxics.pop(fault, None)
        if gone is not None:
            self._changed()
        return None if gone is None else repr(gone[0])

    def active(self) -> list[str]:
        """What is on now, in words."""
        return [f"{toxic} before {self._upstream[0]}:{self._upstream[1]}" for toxic, _ in self._toxics.values()]

    def counts(self) -> dict[str, Any]:
        """What went through, and what was touched."""
        return {"connections": self.connections, "open": len(self._links), "hits": self.hits}

    def toxics(self, direction: Direction) -> tuple[Toxic, ...]:
        """What acts on bytes that go in `direction`, in the order in which it was put on."""
        return tuple(
            toxic
            for toxic, where in self._toxics.values()
            if where in {direction, Direction.BOTH} or isinstance(toxic, Reset)
        )

    def joined(self, link: Link) -> bool:
        """A connection came; False if it is one too many."""
        if len(self._links) >= _MOST_CONNECTIONS:
            return False
        self._links.add(link)
        self.connections += 1
        return True

    def left(self, link: Link) -> None:
        """A connection is over."""
        self._links.discard(link)

    async def connect(self, protocol: asyncio.Protocol) -> None:
        """A connection to the peer."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_SECONDS):
            await loop.create_connection(lambda: protocol, *self._upstream)

    def _changed(self) -> None:
        self.blackholed = any(isinstance(toxic, Blackhole) for toxic, _ in self._toxics.values())
        for link in list(self._links):
            link.toxics_changed()


class Link:
    """One connection of the subject and the one to the peer that belongs to it."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.subject = _Side(self, Direction.TO_PEER)
        self.peer = _Side(self, Direction.TO_SUBJECT)
        self.subject.other, self.peer.other = self.peer, self.subject
        self._connecting: asyncio.Task[None] | None = None

    def made(self, side: _Side) -> None:
        """One of the two connections is there."""
        if side is self.peer:
            self.toxics_changed()
        elif self.proxy.joined(self):
            self.toxics_changed()
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        else:
            self.abort()

    def toxics_changed(self) -> None:
        """Act by the toxics that are on now, and forget those that are not."""
        for side in (self.subject, self.peer):
            side.toxics_changed()
        if any(isinstance(toxic, Reset) and toxic.after_bytes == 0 for toxic in self.subject.toxics):
            self.reset()

    def reset(self) -> None:
        """RST to both ends."""
        self.proxy.hits += 1
        for side in (self.subject, self.peer):
            side.reset()
        self.proxy.left(self)

    def abort(self) -> None:
        """The end, at once."""
        for side in (self.subject, self.peer):
            side.abort()
        self.proxy.left(self)

    def lost(self, side: _Side, error: Exception | None) -> None:
        """One of the two connections is over: the other one ends as it did."""
        other = side.other
        if error is not None:
            other.reset()
        else:
            side.send_end(other.close)
        if self.subject.gone and self.peer.gone:
            self.proxy.left(self)

    async def _connect(self) -> None:
        try:
            await self.proxy.connect(self.peer)
        except (OSError, TimeoutError):
            self.subject.reset()  # as a peer that is not there answers
            self.proxy.left(self)


class _Side(asyncio.Protocol):
    """One of the two connections, and the lane from it to the other one.

    Without a toxic a chunk goes straight through. With one it is planned: cut into pieces, each due at a moment, never
    before the piece in front of it. At most 256 KiB wait here; then this side is not read any more.
    """

    other: _Side

    def __init__(self, link: Link, direction: Direction) -> None:
        self._link = link
        self._direction = direction
        self._transport: asyncio.Transport | None = None
        self._lane: deque[tuple[float, bytes | Callable[[], None]]] = deque()
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._other_full = False
        self._passed_bytes = 0
        self._free_at = 0.0
        self.toxics: tuple[Toxic, ...] = ()
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._link.made(self)
        self._regulate()
        self.other._regulate()

    def data_received(self, data: bytes) -> None:
        if not self.toxics and not self._lane and self.other._transport is not None:
            self.other._transport.write(data)
        else:
            self._plan(data)

    def eof_received(self) -> bool:
        self.send_end(self.other.write_end)
        return True

    def pause_writing(self) -> None:
        self.other._other_full = True
        self.other._regulate()

    def resume_writing(self) -> None:
        self.other._other_full = False
        self.other._regulate()

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        self._link.lost(self, error)

    def toxics_changed(self) -> None:
        """Take what is on now; without a toxic all that waits is due."""
        self.toxics = self._link.proxy.toxics(self._direction)
        self._passed_bytes = 0
        self._free_at = 0.0
        if not self.toxics:
            self._lane = deque((0.0, piece) for _, piece in self._lane)
        self._run()
        self._regulate()

    def send_end(self, end: Callable[[], None]) -> None:
        """Tell the other side of this one's end, after all that is still on its way."""
        due = asyncio.get_running_loop().time()
        for toxic in self.toxics:
            if isinstance(toxic, SlowClose):
                due += toxic.seconds
                self._link.proxy.hits += 1
        if self._lane or due > asyncio.get_running_loop().time() or self._link.proxy.blackholed:
            self._lane.append((max(due, self._lane[-1][0] if self._lane else 0.0), end))
            self._run()
        else:
            end()

    def write_end(self) -> None:
        """FIN, while the other direction may go on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Close once all is written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """RST."""
        if self._transport is not None and not self._transport.is_closing():
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.abort()

    def abort(self) -> None:
        """Close without writing what waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._lane.clear()
        if self._transport is not None:
            self._transport.abort()

    def _plan(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        proxy = self._link.proxy
        pieces: list[tuple[float, bytes]] = [(now, data)]
        for toxic in self.toxics:
            proxy.hits += 1
            match toxic:
                case Latency():
                    jitter = toxic.jitter_seconds * proxy.random.uniform(-1, 1)
                    pieces = [(due + max(0.0, toxic.seconds + jitter), piece) for due, piece in pieces]
                case Corrupt():
                    if proxy.random.random() < toxic.share:
                        pieces = [(due, _flipped(piece, proxy.random)) for due, piece in pieces]
                case Slice():
                    pieces = _cut(pieces, toxic.size_bytes, toxic.delay_seconds)
                case Bandwidth():
                    size = int(toxic.bytes_per_second / _PIECES_PER_SECOND)
                    pieces = [self._after_the_others(toxic, *piece) for piece in _cut(pieces, size, 0.0)]
                case Reset():
                    self._passed_bytes += len(data)
                    if self._passed_bytes > toxic.after_bytes:
                        self._link.reset()
                        return
        latest = self._lane[-1][0] if self._lane else 0.0
        for due, piece in pieces:
            latest = max(latest, due)
            self._lane.append((latest, piece))
        self._waiting_bytes += len(data)
        self._run()
        self._regulate()

    def _after_the_others(self, toxic: Bandwidth, due: float, piece: bytes) -> tuple[float, bytes]:
        self._free_at = max(self._free_at, due) + len(piece) / toxic.bytes_per_second
        return self._free_at, piece

    def _run(self) -> None:
        """Send what is due, and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._link.proxy.blackholed or self.other._transport is None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._lane and self._lane[0][0] <= now:
            _, piece = self._lane.popleft()
            if isinstance(piece, bytes):
                self._waiting_bytes -= len(piece)
                self.other._transport.write(piece)
            else:
                piece()
        if self._lane:
            self._timer = loop.call_at(self._lane[0][0], self._came_back)

    def _came_back(self) -> None:
        self._timer = None
        self._run()
        self._regulate()

    def _regulate(self) -> None:
        """Read this side only while there is somewhere to put it."""
        if self._transport is None or self._transport.is_closing():
            return
        full = self._waiting_bytes > (_HIGH_BYTES if self._reading else _LOW_BYTES)
        read = not (full or self._other_full or self._link.proxy.blackholed or self.other._transport is None)
        if read != self._reading:
            self._reading = read
            if read:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()


def _cut(pieces: list[tuple[float, bytes]], size: int, delay_seconds: float) -> list[tuple[float, bytes]]:
    """Pieces of up to `size` bytes (or more, where there would be too many), each later than the one before."""
    cut: list[tuple[float, bytes]] = []
    for due, piece in pieces:
        step = max(1, size, -(-len(piece) // _MOST_PIECES))
        cut += [
            (due + number * delay_seconds, piece[start : start + step])
            for number, start in enumerate(range(0, len(piece), step))
        ]
    return cut


def _flipped(piece: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(piece))
    return piece[:place] + bytes([piece[place] ^ (1 << chance.randrange(8))]) + piece[place + 1 :]
