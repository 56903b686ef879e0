"""What one process tells of its guards, for as long as it lives: to the platform's board, and to a collector."""

from __future__ import annotations

import logging
import threading
import time
from math import inf

from prodsprints.controls.providers.dependencies import board
from prodsprints.controls.providers.dependencies.recorder import Recorder
from prodsprints.guard import GuardInputError, otlp, registry
from prodsprints.store.database import Database
from prodsprints.store.errors import DatabaseUnavailableError

_TELL_SECONDS = 2.0
_SWEEP_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Teller:
    """Posts what the guards see on the board every two seconds, and to an OpenTelemetry collector if one is named."""

    def __init__(self, db: Database, worker: str) -> None:
        self._db = db
        self._worker = worker
        self._recorder = Recorder()
        self._export: otlp.Export | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guards", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        try:
            self._export = otlp.start(instance=self._worker)
        except GuardInputError as error:
            _log.warning("%s", error)  # without telemetry there is still a platform
        # A collector that is away is worth a line each time it is missed, not one for each try.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
        self._thread.start()

    def stop(self) -> None:
        """Take down what was posted, and end."""
        self._stop.set()
        self._thread.join(timeout=5)
        if self._export:
            self._export.stop()
        try:
            board.take_down(self._db, self._worker)
        except DatabaseUnavailableError as error:
            _log.info("%s", error.what)

    def _run(self) -> None:
        swept_at = -inf
        silent = False
        while not self._stop.wait(_TELL_SECONDS):
            try:
                seen = self._recorder.look(registry.snapshots(), time.monotonic())
                if seen:
                    board.post(self._db, self._worker, seen)
                if time.monotonic() - swept_at > _SWEEP_SECONDS:
                    board.sweep(self._db)
                    swept_at = time.monotonic()
                silent = False
            except DatabaseUnavailableError as error:
                if not silent:
                    _log.warning("%s What guards see is not posted meanwhile.", error.what)
                silent = True
            except Exception:
                _log.exception("guards")
