"""Free TCP ports of 127.0.0.1, from ranges that the kernel does not hand out to outgoing connections."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Collection
from dataclasses import dataclass, field

from prodsprints.runtime.errors import InvalidRequestError, PortTakenError


@dataclass
class PortRange:
    """Ports `first`…`last`; those chosen are not chosen again until the range has gone round."""

    first: int
    last: int
    _next: int = field(default=0)

    @staticmethod
    def parse(text: str) -> PortRange:
        """Read `18000-18999`."""
        first, _, last = text.partition("-")
        if not (first.isdecimal() and last.isdecimal() and 1024 <= int(first) <= int(last) <= 65535):
            raise InvalidRequestError(f"{text!r} is no range of ports.", next_step="Write it as 18000-18999.")
        return PortRange(int(first), int(last))

    def scattered(self) -> PortRange:
        """The same ports, begun anywhere.

        A port is free until the application binds it, a moment later: two node agents on one machine that both begin at
        `first` would hand the same one to two applications.
        """
        return PortRange(self.first, self.last, random.randrange(self.last - self.first + 1))  # noqa: S311 - spreads, hides nothing

    def keep_or_choose(self, port: int, taken: Collection[int]) -> int:
        """`port` if it is of this range and free, else another that is not in `taken`."""
        return port if self.first <= port <= self.last and free(port) else self.choose(taken)

    def choose(self, taken: Collection[int]) -> int:
        """A free port that is not in `taken`. Raises PortTakenError when there is none."""
        size = self.last - self.first + 1
        for step in range(size):
            port = self.first + (self._next + step) % size
            if port not in taken and free(port):
                self._next = (port - self.first + 1) % size
                return port
        raise PortTakenError(
            f"No port from {self.first} to {self.last} is free.",
            next_step="Stop what uses them, or give the node agent another range.",
        )


def free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            # Linux lets sockets with SO_REUSEADDR bind beside each other; only listening shows who has the port.
            probe.listen(1)
        except OSError:
            return False
    return True
