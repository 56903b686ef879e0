"""The platform's own logs: redacted where they are written, bounded where they lie."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
import threading
from pathlib import Path

from prodsprints.kernel.redaction import Redactor
from prodsprints.kernel.settings import Settings

_MAX_BYTES = 8 * 1024**2
_LOOK_SECONDS = 5.0


def configure(level: int = logging.INFO) -> None:
    """Send this process's log to stderr, each line with its time and without secrets."""
    _send_to(logging.StreamHandler(sys.stderr), level)


def to_file(settings: Settings, name: str) -> None:
    """Send this process's log to `<home>/logs/<name>.log`: its terminal is for people."""
    directory = settings.home / "logs"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = logging.FileHandler(directory / f"{name}.log", encoding="utf-8")
    _send_to(handler, logging.INFO)


class Bounds:
    """Keeps each `*.log` of a directory below a bound: what was cut last lies in `*.log.1`.

    The writers append, also those that outlive us, so a file is copied and cut rather than renamed.
    """

    def __init__(self, directory: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="logs", daemon=True)

    def start(self) -> None:
        """Begin to look after the files."""
        self._thread.start()

    def stop(self) -> None:
        """Leave them as they are."""
        self._stop.set()

    def apply(self) -> None:
        """Cut what is too long now."""
        for path in self._directory.glob("*.log"):
            with contextlib.suppress(OSError):
                if path.stat().st_size > self._max_bytes:
                    with contextlib.suppress(OSError):  # a full disk is no reason to grow
                        shutil.copyfile(path, path.with_suffix(".log.1"))
                    with path.open("r+b") as stream:
                        stream.truncate(0)

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.apply()


def _send_to(handler: logging.Handler, level: int) -> None:
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)


class _Redacting(logging.Formatter):
    def __init__(self, pattern: str) -> None:
        super().__init__(pattern)
        self._redactor = Redactor()

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(self._redactor.text(line) for line in super().format(record).splitlines())
