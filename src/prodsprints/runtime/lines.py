"""Output of strangers' processes as bounded text lines, for whoever must read it without drowning in it."""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable, Iterator

_CHUNK_BYTES = 65_536
_PULSE_SECONDS = 0.5

# Colours, cursor movements, window titles: what a terminal would obey instead of show, and a page not show at all.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])|[\x01-\x08\x0b-\x1f\x7f]")


class LineReader:
    """Cuts a stream of bytes into lines of text: long lines are cut, and beyond `max_bytes` everything is dropped.

    `dropped_bytes` says how much that was; `interrupted` that the deadline came before the end of the stream.
    """

    def __init__(self, *, max_bytes: int, max_line_bytes: int = 8192) -> None:
        self.dropped_bytes = 0
        self.interrupted = False
        self._left = max_bytes
        self._max_line_bytes = max_line_bytes
        self._line = bytearray()
        self._cut = 0

    def lines(self, descriptor: int, *, until: float, pulse: Callable[[], None]) -> Iterator[str]:
        """Yield each line of `descriptor` as it comes, until its end or until the monotonic time `until`.

        `pulse` is called at least twice a second while nothing comes.
        """
        poll = select.poll()  # select() fails on descriptors above 1023, and a busy worker has those
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        while True:
            left_ms = (until - time.monotonic()) * 1000
            if left_ms <= 0:
                self.interrupted = True
                break
            if not poll.poll(min(left_ms, _PULSE_SECONDS * 1000)):
                pulse()
                continue
            chunk = os.read(descriptor, _CHUNK_BYTES)
            if not chunk:
                break
            yield from self._feed(chunk)
        if self._line:
            yield self._flush()

    def _feed(self, chunk: bytes) -> Iterator[str]:
        accepted = chunk[: self._left]
        self._left -= len(accepted)
        self.dropped_bytes += len(chunk) - len(accepted)
        *whole, rest = accepted.split(b"\n")
        for part in whole:
            self._append(part)
            yield self._flush()
        self._append(rest)

    def _append(self, part: bytes) -> None:
        room = self._max_line_bytes - len(self._line)
        self._line += part[:room]
        self._cut += max(0, len(part) - room)

    def _flush(self) -> str:
        # PostgreSQL's text knows no NUL.
        text = _ESCAPES.sub("", self._line.decode("utf-8", "replace").replace("\0", "\ufffd"))
        if self._cut:
            text += f" … [{self._cut} bytes cut]"
        self._line.clear()
        self._cut = 0
        return text
