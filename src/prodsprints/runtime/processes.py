"""Processes by identity: a pid together with the moment its process started, so that a recycled pid is never ours."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psutil

from prodsprints.runtime.shim import start_mark as _linux_start_mark


@dataclass(frozen=True)
class Identity:
    """One process, now or in the past: its pid and its start, in the kernel's own count."""

    pid: int
    start: str

    @staticmethod
    def of(pid: int, *, not_after: float | None = None) -> Identity | None:
        """The process that has `pid` now, or None; also None if it started after the wall time `not_after`."""
        start = _start_mark(pid)
        if start and not_after is not None and psutil.Process(pid).create_time() > not_after:
            return None
        return Identity(pid, start) if start else None

    @staticmethod
    def parse(document: Any) -> Identity | None:
        """What `document()` wrote, or None for anything else."""
        if not isinstance(document, dict) or not isinstance(document.get("pid"), int):
            return None
        return Identity(document["pid"], str(document.get("start") or ""))

    def document(self) -> dict[str, Any]:
        """JSON for the state file."""
        return {"pid": self.pid, "start": self.start}

    def alive(self) -> bool:
        """Whether this very process still runs; a child of ours that has ended is reaped on the way."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return bool(self.start) and _start_mark(self.pid) == self.start

    def signal(self, number: signal.Signals) -> None:
        """Send `number`, if the process is still this one."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def tree(self) -> list[Identity]:
        """This process and everything below it, parents first."""
        if not self.alive():
            return []
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(self.pid).children(recursive=True)
        return [self, *(found for child in below if (found := Identity.of(child.pid)))]


def kill(processes: Iterable[Identity]) -> None:
    """SIGKILL to each that is still itself."""
    for process in processes:
        process.signal(signal.SIGKILL)


def wait_gone(process: Identity, seconds: float) -> bool:
    """Whether `process` ended within `seconds`; blocks."""
    deadline = time.monotonic() + seconds
    while process.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def listening_ports(processes: Iterable[Identity]) -> list[int]:
    """The TCP ports on which any of `processes` listens, as far as we may see."""
    ports: set[int] = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            for connection in psutil.Process(process.pid).net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr:
                    ports.add(connection.laddr.port)
    return sorted(ports)


def who_listens(port: int) -> str:
    """Who has `port`, as a person would look for it: "python3 (pid 412)", or "another process"."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr.port if connection.laddr else None
            if here == port and connection.status == psutil.CONN_LISTEN and connection.pid is not None:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another process"


def _start_mark(pid: int) -> str:
    # Not psutil's create_time on Linux: it is wall time, so a clock that steps would disown every running app.
    if sys.platform == "linux":
        return _linux_start_mark(pid)
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.6f}"
    except psutil.Error:
        return ""
