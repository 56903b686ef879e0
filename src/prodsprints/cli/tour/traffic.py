"""The load generator's process, as the story holds it: started, read, ended."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType

from prodsprints.cli.errors import StoryError

_END_SECONDS = 15.0


class Traffic:
    """Steady requests to `urls` for as long as this context lasts; `counts` are its latest figures."""

    def __init__(self, urls: Sequence[str], *, rate: int, canary: str) -> None:
        command = [
            sys.executable,
            "-m",
            "prodsprints.cli.tour.load",
            *urls,
            f"--rate={rate}",
            f"--canary={canary}",
            "--held",
        ]
        self.counts = {"requests": 0, "failed_requests": 0, "canary_errors": 0}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, name="traffic", daemon=True)

    def __enter__(self) -> Traffic:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.close()
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(_END_SECONDS)
        if code != 0 and kind is None:
            raise StoryError("The load generator ended early.", next_step="Run the tour again.")

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        for line in self._process.stdout:
            self.counts = json.loads(line)
