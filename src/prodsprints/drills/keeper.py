"""The process around an arm's process: ends it in time, with all that it started, also when the worker dies."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time

import psutil

from prodsprints.drills import harness
from prodsprints.drills.harness import Script

_POLL_SECONDS = 0.02
_LOOK_SECONDS = 0.25
_GRACE_SECONDS = 0.5
_GONE_SECONDS = 5.0
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Read the script from stdin, which stays open as the lifeline to the worker; play it in a child; leave nothing."""
    line = _first_line()
    events = int(sys.argv[1])
    os.set_inheritable(events, False)
    script = Script.parse(line)
    _adopt_orphans()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        harness.play(script, events)
        sys.stdout.flush()
        os._exit(0)
    _Keeper(child, events).keep(script.hard_seconds)


class _Keeper:
    """Watches one child and everything below it."""

    def __init__(self, child: int, events: int) -> None:
        self._child = child
        self._events = events
        self._status: int | None = None
        self._known: dict[int, psutil.Process] = {}
        self._looked_at = 0.0

    def keep(self, seconds: float) -> None:
        """Return once the child and all its descendants are gone."""
        deadline = time.monotonic() + seconds
        while not self._reap():
            if select.select([0], [], [], _POLL_SECONDS)[0] and not os.read(0, 4096):
                self._end()  # nobody listens any more
                return
            if time.monotonic() > deadline:
                self._say(f"it hung, and was killed after {seconds:g} s")
                self._end()
                return
            self._look(every=_LOOK_SECONDS)
        if self._status:
            self._say(_how_it_ended(self._status))
        elif left := self._left_behind():
            self._say(f"it left processes behind: {', '.join(map(_named, left))}")
        self._end()

    def _reap(self) -> bool:
        """Collect what has ended; True once the child has."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == self._child:
                    self._status = status
        return self._status is not None

    def _look(self, *, every: float = 0.0) -> None:
        """Remember who is there: where orphans are not given to us (macOS), that is the only way to find them again."""
        if time.monotonic() - self._looked_at >= every:
            self._looked_at = time.monotonic()
            for process in psutil.Process().children(recursive=True):
                self._known.setdefault(process.pid, process)

    def _left_behind(self) -> list[psutil.Process]:
        """Who is still there when those that end by themselves have had a moment to do so."""
        deadline = time.monotonic() + _GRACE_SECONDS
        while (left := self._alive()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            self._reap()
        return left

    def _alive(self) -> list[psutil.Process]:
        self._look()
        alive = []
        for process in self._known.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    alive.append(process)
        return alive

    def _end(self) -> None:
        """SIGKILL to all, until none is left: a process may have started another one in the meantime."""
        deadline = time.monotonic() + _GONE_SECONDS
        while (alive := self._alive()) and time.monotonic() < deadline:
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            self._reap()
            time.sleep(0.005)

    def _say(self, why: str) -> None:
        # A new line first: the child may have been killed in the middle of one.
        with contextlib.suppress(OSError):
            os.write(self._events, b"\n" + json.dumps({"kind": "broken", "why": why}).encode() + b"\n")


def _first_line() -> bytes:
    # Unbuffered: what comes after it is the lifeline's.
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(0, 65_536)
        if not more:
            raise SystemExit(1)
        line += more
    return line


def _adopt_orphans() -> None:
    """Have orphans below us become our children rather than init's (Linux), so that none escapes by a double fork."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _how_it_ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"its process was ended by signal {-code}" if code < 0 else f"its process ended with exit code {code}"


def _named(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.name()} (pid {process.pid})"
    return f"pid {process.pid}"


if __name__ == "__main__":
    main()
