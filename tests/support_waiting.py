"""Waiting for what another process or thread does: never a fixed time, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], *, seconds: float = 20.0, every: float = 0.02) -> T:
    """The first true answer of `check`."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"never true within {seconds} s: {found!r}"
        time.sleep(every)
    return found
