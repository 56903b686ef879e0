"""Verifying a whole log while somebody waits: one at a time, kept for a while, and only up to a size."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prodsprints.kernel import clock
from prodsprints.ledger.errors import LedgerTamperedError
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.verification import Report
from prodsprints.register.assessor import Assessor
from prodsprints.web.errors import LogTooLongError

_KEPT_SECONDS = 30.0
_MOST_ENTRIES = 50_000
_MOST_TENANTS = 64


@dataclass(frozen=True)
class Verification:
    """What a look at the whole log found, and when that was."""

    at: datetime
    report: Report


class Verifications:
    """The newest result of each tenant; whoever asks while one is being made waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[UUID, tuple[float, Verification]] = {}

    def of(self, assessor: Assessor, ledger: Ledger) -> Verification:
        """The result for that ledger, at most half a minute old. Raises LogTooLongError."""
        with self._lock:
            known = self._made.get(ledger.tenant_id)
            if known is not None and time.monotonic() - known[0] < _KEPT_SECONDS:
                return known[1]
            refuse_long(ledger)
            made = Verification(clock.now(), assessor.verify(ledger.tenant_id))
            while len(self._made) >= _MOST_TENANTS:
                del self._made[next(iter(self._made))]
            self._made[ledger.tenant_id] = (time.monotonic(), made)
            return made


def refuse_long(ledger: Ledger) -> None:
    try:
        size = ledger.size()
    except LedgerTamperedError:
        return  # then it matters most to say what is wrong
    if size > _MOST_ENTRIES:
        raise LogTooLongError(
            f"The log has {size:,} entries, more than this server verifies while somebody waits.",
            next_step="Verify it on the command line: `prodsprints evidence verify`.",
        )
