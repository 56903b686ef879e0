"""Ports that nobody uses, for processes that are told theirs."""

from __future__ import annotations

import random

from prodsprints.runtime.ports import free


def free_block(size: int) -> int:
    """The first of `size` free ports in a row; random, so that tests running side by side do not meet."""
    while True:
        first = random.randrange(10_000, 31_000, size)  # noqa: S311 - no secret
        if all(free(port) for port in range(first, first + size)):
            return first
