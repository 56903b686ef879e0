"""The fault process: holds an arm's devices, does what the drill asks, and ends all faults when the drill is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from prodsprints.drills.faults import toxics
from prodsprints.drills.faults.tcp import Proxy

if TYPE_CHECKING:
    from prodsprints.drills.faults.http import Origin

_LINGER_SECONDS = 5.0
_MOST_DEVICES = 64
_LONGEST_LINE = 1_048_576


def main() -> None:
    """Serve the drill at the other end of stdin, a socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the drill; its end is ours
    asyncio.run(_serve(socket.socket(fileno=os.dup(sys.stdin.fileno()))))


async def _serve(drill: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=drill, limit=_LONGEST_LINE)
    devices = _Devices()
    with contextlib.suppress(OSError, ValueError):
        while line := await reader.readline():
            question = json.loads(line)
            writer.write(json.dumps(await devices.answer(question)).encode() + b"\n")
            await writer.drain()
            if question["verb"] == "exit":
                return
    # The drill is gone without a word. Its faults end now; whoever still talks to the peer through us may finish.
    devices.end_faults()
    await asyncio.sleep(_LINGER_SECONDS)


class _Devices:
    """The devices by number, and the faults on them, each with its end."""

    def __init__(self) -> None:
        self._devices: dict[int, Proxy | Origin] = {}
        self._ends: dict[int, asyncio.TimerHandle] = {}
        self._next = 1

    async def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; what goes wrong is the answer."""
        try:
            return await self._do(question["verb"], question)
        except Exception as error:  # the drill is told, and decides
            return {"error": f"{type(error).__name__}: {error}"}

    def end_faults(self) -> None:
        """From now on everything only passes through."""
        for end in list(self._ends.values()):
            end.cancel()
        for device in self._devices.values():
            for fault in list(self._ends):
                device.remove(fault)
        self._ends.clear()

    async def _do(self, verb: str, question: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        match verb:
            case "tcp":
                answer = await self._open(Proxy(question["host"], question["port"]))
            case "http":
                from prodsprints.drills.faults.http import Origin

                answer = await self._open(Origin(question["upstream"]))
            case "add":
                answer = self._add(question)
            case "remove":
                self._remove(question["device"], question["fault"])
            case "counts":
                answer = {"counts": self._devices[question["device"]].counts()}
            case "active":
                answer = {"faults": [fault for device in self._devices.values() for fault in device.active()]}
            case "close":
                self._devices.pop(question["device"]).close()
            case "exit":
                self.end_faults()
            case _:
                answer = {"error": f"unknown verb {verb!r}"}
        return answer

    async def _open(self, device: Proxy | Origin) -> dict[str, Any]:
        if len(self._devices) >= _MOST_DEVICES:
            return {"error": f"more than {_MOST_DEVICES} devices"}
        port = await device.listen()
        number = self._number()
        self._devices[number] = device
        return {"device": number, "port": port}

    def _add(self, question: dict[str, Any]) -> dict[str, Any]:
        device: Any = self._devices[question["device"]]
        fault = self._number()
        device.add(fault, toxics.parse(question["toxic"]), direction=question.get("direction", ""))
        self._ends[fault] = asyncio.get_running_loop().call_later(
            question["ttl_seconds"], self._remove, question["device"], fault
        )
        return {"fault": fault}

    def _remove(self, device: int, fault: int) -> None:
        end = self._ends.pop(fault, None)
        if end is not None:
            end.cancel()
        if device in self._devices:
            self._devices[device].remove(fault)

    def _number(self) -> int:
        self._next += 1
        return self._next


if __name__ == "__main__":
    main()
