"""The duty of a worker towards its node's mirrors: those in use are fresh when the host dies, the others make room."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from prodsprints.controls.integrations import git_address, mirror_records
from prodsprints.controls.integrations.mirror import Mirrors
from prodsprints.controls.integrations.mirror_records import MirrorRecord
from prodsprints.kernel import clock
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.store.database import Database

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 60.0
REFRESH_AFTER = timedelta(minutes=15)
UNUSED_AFTER = timedelta(days=7)
"""A mirror that no kept version needs is removed when no release used it for so long."""


class MirrorDuty:
    """One worker's thread for it; several workers of a node share the work by each mirror's own lock."""

    def __init__(self, db: Database, node: str, mirrors_of: Callable[[UUID], Mirrors]) -> None:
        self._db = db
        self._node = node
        self._mirrors_of = mirrors_of
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirrors", daemon=True)

    def start(self) -> None:
        """Begin to look for what is due."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; a fetch that is under way ends with the process, and leaves the mirror as it was."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def look(self) -> None:
        """Refresh and remove what is due now, of every tenant."""
        for tenant_id in mirror_records.tenants(self._db):
            for record in mirror_records.mirrors(self._db, tenant_id, node=self._node):
                if self._stop.is_set():
                    return
                try:
                    self._see_to(tenant_id, record)
                except ProdSprintsError as error:
                    _log.warning("the mirror of %s is not refreshed: %s %s", record.url, error.what, error.why)

    def _see_to(self, tenant_id: UUID, record: MirrorRecord) -> None:
        now = clock.now()
        address = git_address.parse(record.url)
        if record.serving:
            last = max((moment for moment in (record.fetched_at, record.failed_at) if moment), default=None)
            if last is None or now - last >= REFRESH_AFTER:
                self._mirrors_of(tenant_id).refresh(address)
        elif not record.needed and record.used_at is not None and now - record.used_at >= UNUSED_AFTER:
            self._mirrors_of(tenant_id).remove(address)
            mirror_records.forget(self._db, tenant_id, node=self._node, url=record.url)
            _log.info("the mirror of %s is removed: no kept version needs it", record.url)

    def _run(self) -> None:
        # Not all workers of a node at once: who comes second finds the mirror fresh.
        while not self._stop.wait(_LOOK_SECONDS * random.uniform(0.5, 1.5)):  # noqa: S311 - no secret
            try:
                self.look()
            except ProdSprintsError as error:
                _log.warning("mirrors: %s", error.what)
            except Exception:
                _log.exception("mirrors")
