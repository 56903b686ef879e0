"""Starting, finding again and ending the shim that keeps one instance's app."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prodsprints.runtime import processes
from prodsprints.runtime.errors import StorageError
from prodsprints.runtime.processes import Identity
from prodsprints.runtime.sandbox import base_python
from prodsprints.runtime.workspace import Workspace

_SHIM = Path(__file__).with_name("shim.py")
_BEGIN_SECONDS = 10.0
_POLL_SECONDS = 0.02
_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Status:
    """What the shim last wrote: `state` is preparing, running, exited or failed."""

    state: str
    shim: Identity | None
    app: Identity | None
    port: int
    exit_code: int | None
    reason: str
    last_lines: tuple[str, ...]
    dropped_lines: int

    @property
    def ended(self) -> bool:
        """Whether the shim recorded the app's end."""
        return self.state in {"exited", "failed"}

    @property
    def alive(self) -> bool:
        """Whether the shim still runs."""
        return self.shim is not None and self.shim.alive()


def status(workspace: Workspace) -> Status | None:
    """The last status, or None when no shim ever wrote one."""
    try:
        written = workspace.status_file.stat().st_mtime
        document = json.loads(workspace.status_file.read_bytes())
    except (OSError, ValueError):
        return None
    return Status(
        state=str(document["state"]),
        shim=_identity(document["shim"], written),
        app=_identity(document["app"], written),
        port=int(document["port"]),
        exit_code=document["exit_code"],
        reason=str(document["reason"]),
        last_lines=tuple(document.get("last_lines", ())),
        dropped_lines=int(document["dropped_lines"]),
    )


async def start(workspace: Workspace, orders: dict[str, Any]) -> Status:
    """Start a shim with `orders`; returns what it says once it has begun. Raises StorageError when it cannot."""
    process = await asyncio.to_thread(_spawn, orders)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _BEGIN_SECONDS
    while loop.time() < deadline:
        found = status(workspace)
        # Another live shim of this instance counts: an agent that was killed in between has started it.
        if found and (found.alive or (found.shim and found.shim.pid == process.pid)):
            return found
        if process.poll() is not None and not (found and found.alive):
            break
        await asyncio.sleep(_POLL_SECONDS)
    process.kill()
    raise StorageError(
        "The app's shim could not begin.",
        why=f"It could not write {workspace.status_file}, or this machine has no process or memory left.",
        next_step="Free some disk space or memory, then release again.",
    )


async def stop(workspace: Workspace, grace_seconds: float) -> Status | None:
    """End the app (SIGTERM, grace, SIGKILL) and everything it started; returns the shim's last word."""
    last = status(workspace)
    if last is None or last.shim is None:
        return last
    family = await asyncio.to_thread(_family, last)
    last.shim.signal(signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace_seconds + _KILL_SECONDS):
            while last.shim.alive():  # noqa: ASYNC110 - nobody tells us: it may be another agent's child
                await asyncio.sleep(_POLL_SECONDS)
    processes.kill(family)  # what left the app's process group, and a shim that hangs
    return status(workspace)


async def sweep(found: Status) -> None:
    """Kill what is left of an app whose shim is gone."""
    if found.app is not None:
        processes.kill(await asyncio.to_thread(found.app.tree))


def listening_elsewhere(found: Status, port: int) -> list[int]:
    """The ports other than `port` on which the app listens; blocks."""
    return [other for other in processes.listening_ports(_family(found)) if other != port]


def _family(found: Status) -> list[Identity]:
    members = {member.pid: member for root in (found.shim, found.app) if root for member in root.tree()}
    return list(members.values())


def _identity(document: Any, written: float) -> Identity | None:
    identity = Identity.parse(document)
    if identity is None or identity.start or sys.platform == "linux":
        return identity
    # Outside Linux a shim cannot tell starts; but who started after the shim wrote this has taken over a free pid.
    return Identity.of(identity.pid, not_after=written)


def _spawn(orders: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [str(base_python()), "-I", "-S", str(_SHIM)],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe, by the line above
    try:
        process.stdin.write(json.dumps(orders).encode())
        process.stdin.close()
    except BrokenPipeError:
        pass
    return process
