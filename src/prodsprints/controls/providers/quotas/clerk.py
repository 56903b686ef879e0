"""A worker's duty: each quota is looked at every five minutes, and what a person sends goes out at once."""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path

from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas import book, desks
from prodsprints.controls.providers.quotas.counts import calls_per_second
from prodsprints.controls.providers.quotas.keeper import QuotaKeeper
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.store.database import Database
from prodsprints.store.errors import DatabaseUnavailableError

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_MOST_AT_ONCE = 100


class QuotaClerk:
    """One thread of a worker; among many workers each quota and each request is one's at a time."""

    def __init__(self, db: Database, home: Path, guards: Guards) -> None:
        self._db = db
        self._home = home
        self._guards = guards
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quotas", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Take up no more; what is under way is done by the next worker if this one ends first."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                with desks.opened(self._home, self._guards, endpoint=desks.aws_endpoint()) as opened:
                    self._serve(QuotaKeeper(self._db, opened, counts=partial(calls_per_second, self._db)))
            except ProdSprintsError as error:  # such as a proxy that is no address: until it is, nothing can be asked
                _log.warning("quotas: %s", error)
            except Exception:
                _log.exception("quotas")

    def _serve(self, keeper: QuotaKeeper) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                work(self._db, keeper, stop=self._stop)
            except DatabaseUnavailableError as error:
                _log.warning("%s", error.what)


def work(db: Database, keeper: QuotaKeeper, *, stop: threading.Event | None = None) -> int:
    """Do what is due, requests first; how much that was."""
    done = 0
    while done < _MOST_AT_ONCE and not (stop and stop.is_set()):
        if turn := book.next_request(db):
            keeper.deliver(turn.tenant_id, turn.id)
        elif turn := book.next_quota(db):
            keeper.review(turn.tenant_id, turn.id)
        else:
            break
        done += 1
    return done
