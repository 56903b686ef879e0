"""The public status pages as they were a moment ago: however many ask, the database is asked once."""

from __future__ import annotations

import threading
import time
from uuid import UUID

from prodsprints.controls.integrations import status_page
from prodsprints.controls.integrations.status_page import StatusPage
from prodsprints.store.database import Database

_KEPT_SECONDS = 0.2


class StatusPages:
    """One for a server, by tenant."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[UUID, tuple[float, StatusPage]] = {}

    def read(self, db: Database, tenant_id: UUID) -> StatusPage:
        """The page of one tenant. Raises DatabaseUnavailableError."""
        with self._lock:
            read_at, page = self._known.get(tenant_id, (0.0, None))
            if page is None or time.monotonic() - read_at > _KEPT_SECONDS:
                page = status_page.read(db, tenant_id)
                self._known[tenant_id] = (time.monotonic(), page)
            return page
