"""Keeps one slow provider from taking all of the caller's threads, tasks and memory."""

from __future__ import annotations

from math import inf

from prodsprints.guard import checks
from prodsprints.guard.errors import BulkheadFullError
from prodsprints.guard.ownership import Owned


class Bulkhead(Owned):
    """At most `limit` calls at a time. One more is rejected at once: waiting has one place in a guard, the bucket."""

    def __init__(self, limit: int) -> None:
        self.limit: float = checks.whole("limit", limit)
        self.in_flight = 0

    @classmethod
    def inert(cls) -> Bulkhead:
        """One that is never full, for calls without this layer."""
        bulkhead = cls(1)
        bulkhead.limit = inf
        return bulkhead

    def enter(self) -> None:
        if self.in_flight >= self.limit:
            raise BulkheadFullError(
                f"{self.in_flight} calls to this provider are under way, and no more are allowed at a time.",
                next_step="Try again when some have ended, or raise the bulkhead's limit.",
            )
        self.in_flight += 1

    def leave(self) -> None:
        self.in_flight -= 1
