"""Ports that nobody uses, for processes that are told theirs."""

from __future__ import annotations

import random
import socket


def free_block(size: int) -> int:
    """The first of `size` free ports in a row; random, so that tests running side by side do not meet."""
    while True:
        first = random.randrange(10_000, 31_000, size)  # noqa: S311 - no secret
        if all(_free(port) for port in range(first, first + size)):
            return first


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
