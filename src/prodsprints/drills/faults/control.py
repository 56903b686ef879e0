"""The drill's end of its fault process: one question at a time over a socket that is also the process's lifeline."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from typing import Any

from prodsprints.drills.errors import FaultDeviceError

_ANSWER_SECONDS = 10.0
_END_SECONDS = 2.0


class FaultControl:
    """Starts the fault process. When this socket closes, however the drill ends, all faults are gone at once."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-m", "prodsprints.drills.faults.process"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )
        ours.settimeout(_ANSWER_SECONDS)
        self._socket = ours
        self._lines = ours.makefile("rb")
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """The fault process."""
        return self._process.pid

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Have the fault process do `verb`, and return its answer."""
        try:
            with self._lock:
                self._socket.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
                answer: dict[str, Any] = json.loads(self._lines.readline())
        except (OSError, ValueError):
            raise FaultDeviceError(
                f"The fault process did not answer to {verb!r}.", next_step="Run the drill again."
            ) from None
        if "error" in answer:
            raise FaultDeviceError(
                f"The fault process could not do {verb!r}.", why=answer["error"], next_step="See why."
            )
        return answer

    def active(self) -> list[str]:
        """The faults that are on right now, in words."""
        return list(self.ask("active")["faults"])

    def close(self) -> None:
        """End the process and with it every device."""
        try:
            self.ask("exit")
        except FaultDeviceError:
            self._process.kill()
        self._lines.close()
        self._socket.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
