"""Keeps retries from becoming the outage."""

from __future__ import annotations

from math import inf

from prodsprints.guard import checks
from prodsprints.guard.ownership import Owned

SECONDS_TO_REFILL = 60.0


class RetryBudget(Owned):
    """Retries cost a token; each success earns `share` of one, up to `reserve`.

    While all is well some calls may be retried; when everything fails, retries stop after `reserve` of them. A minute
    refills the reserve, so that a quiet guard can retry again. Retries of throttled calls are free: the frozen
    key and its bucket pace them already.
    """

    def __init__(self, *, share: float = 0.1, reserve: float = 10) -> None:
        self.share = checks.positive("share", share)
        self.reserve: float = checks.at_least("reserve", reserve, 1)
        self.tokens = float(reserve)
        self._refilled_at = -inf

    @classmethod
    def inert(cls) -> RetryBudget:
        """One that never ends, for calls without this layer."""
        budget = cls()
        budget.reserve = budget.tokens = inf
        return budget

    def succeeded(self) -> None:
        self.tokens = min(self.reserve, self.tokens + self.share)

    def spend(self, now: float) -> bool:
        """True if a retry may be made; it is then paid for."""
        elapsed = now - self._refilled_at if self._refilled_at > -inf else 0.0
        self._refilled_at = now
        self.tokens = min(self.reserve, self.tokens + max(0.0, elapsed) * self.reserve / SECONDS_TO_REFILL)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
