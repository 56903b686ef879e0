"""What a step's programs write, in the live log: soon visible, bounded, and interrupted when somebody asks for it."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType

from prodsprints.release.run import Run

_FIRST_LINES, _LAST_LINES = 2_000, 100
_PULSE_SECONDS = 0.5


class Output:
    """The first lines as they come and, at the end, the last; how many were left out in between is said.

    `line` and `pulse` raise AbortRequestedError, at most half a second late, when this release is asked to stop.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._count = 0
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._pulsed = time.monotonic()

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left_out = self._count - _FIRST_LINES - len(self._last)
        if left_out > 0:
            self._run.say(f"… {left_out:,} lines left out")
        for line in self._last:
            self._run.say(line)

    def line(self, text: str) -> None:
        """Take one line."""
        self._count += 1
        if self._count <= _FIRST_LINES:
            self._run.say(text)
        else:
            self._last.append(text)
        self.pulse()

    def pulse(self) -> None:
        """Make visible what was said, and hear whether to go on; does its work at most twice a second."""
        if time.monotonic() - self._pulsed >= _PULSE_SECONDS:
            self._run.flush()
            self._run.check()
            self._pulsed = time.monotonic()
