"""Trends, which are made of the whole log: one at a time, kept until something is said or the day is over."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from prodsprints.ledger.log import Ledger
from prodsprints.register.assessment import Assessment, Digests
from prodsprints.register.register import Register
from prodsprints.register.trend import Trend, trend
from prodsprints.web.errors import LogTooLongError

_MOST_ENTRIES = 50_000
_MOST_KEPT = 64


@dataclass(frozen=True)
class _Of:
    """What a trend was made of; `register` and `digests` are the same object as long as nothing changed."""

    register: Register
    digests: Digests
    size: int
    day: date

    def is_of(self, other: _Of) -> bool:
        same = self.register is other.register and self.digests == other.digests
        return same and (self.size, self.day) == (other.size, other.day)


class Trends:
    """The newest trend of each tenant, environment and length; whoever asks while one is made waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[UUID, str, int], tuple[_Of, Trend]] = {}

    def of(self, assessment: Assessment, ledger: Ledger, digests: Digests, days: int) -> Trend:
        """How the register moved over the last `days`. Raises LogTooLongError, LedgerTamperedError."""
        place = ledger.tenant_id, assessment.environment, days
        made_of = _Of(assessment.register, digests, ledger.size(), assessment.now.date())
        with self._lock:
            known = self._made.pop(place, None)
            made = known[1] if known and known[0].is_of(made_of) else _make(assessment, ledger, digests, made_of, days)
            self._made[place] = (made_of, made)
            while len(self._made) > _MOST_KEPT:
                del self._made[next(iter(self._made))]
            return made


def _make(assessment: Assessment, ledger: Ledger, digests: Digests, made_of: _Of, days: int) -> Trend:
    if made_of.size > _MOST_ENTRIES:
        raise LogTooLongError(
            f"The log has {made_of.size:,} entries, more than this server goes through while somebody waits.",
            next_step="The evidence of each row is on its page; `prodsprints evidence export` takes the log elsewhere.",
        )
    return trend(
        assessment.register,
        ledger.entries(limit=_MOST_ENTRIES),
        tenant=str(ledger.tenant_id),
        environment=assessment.environment,
        digests=digests,
        log=assessment.log,
        now=assessment.now,
        days=days,
    )
