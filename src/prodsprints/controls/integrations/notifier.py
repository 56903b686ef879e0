"""Other ways for notifications to arrive: the dispatcher of the outbox, each channel behind a guard of its own."""

from __future__ import annotations

import threading

from prodsprints.guard import CircuitBreaker, Guard, Retry
from prodsprints.kernel.settings import Settings
from prodsprints.notify.dispatcher import Dispatcher
from prodsprints.notify.rounds import Send
from prodsprints.notify.routes import Routes
from prodsprints.store.database import Database

_DEADLINE_SECONDS = 10.0  # a channel's own time is shorter
_FAILURES = 2
_RECOVERY_SECONDS = 30.0


class Notifier:
    """One worker's dispatcher: Slack, else e-mail, else SMS, in the order of `notify.yaml`.

    A channel that failed twice in a row is skipped at once for half a minute. No channel is retried by its guard: the
    next channel is the retry, and after it the next round.
    """

    def __init__(self, db: Database, settings: Settings, *, worker: str) -> None:
        self._guards: dict[str, Guard] = {}
        self._lock = threading.Lock()
        self._dispatcher = Dispatcher(db, Routes(settings), self._guarded, owner=worker)

    def start(self) -> None:
        """Begin; returns at once. Whoever is called `worker` has to beat: its lanes' leases are kept by that."""
        self._dispatcher.start()

    def stop(self) -> None:
        """End after the letters that are being told."""
        self._dispatcher.stop()

    def _guarded(self, channel: str, send: Send) -> Send:
        with self._lock:
            guard = self._guards.get(channel)
            if guard is None:
                guard = self._guards[channel] = Guard(
                    f"notify-{channel}",
                    deadline_seconds=_DEADLINE_SECONDS,
                    retry=Retry.never(),
                    breaker=CircuitBreaker(failure_threshold=_FAILURES, recovery_timeout=_RECOVERY_SECONDS),
                )
        return guard(send)
