"""Token buckets, and the seam where a whole fleet's bucket takes their place."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Protocol

from prodsprints.guard import checks
from prodsprints.guard.ownership import Owned, Threads

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class LeaseSource(Protocol):
    """Where the tokens of one quota scope come from.

    In one process that is a RateLimiter. A fleet's source holds a lease, a batch of tokens granted to this process, and
    renews it behind the calls: no method here may do I/O or block. `now` is the guard's monotonic clock.
    """

    @property
    def frozen_until(self) -> float:
        """The moment before which nothing is granted because the provider throttled this scope."""

    def take(self, now: float) -> float:
        """Spend a token and return 0.0, or spend nothing and return how many seconds to wait before asking again."""

    def remaining(self, now: float) -> float:
        """How many tokens are left, as far as is known here; a fleet's may have to be asked for first."""

    def freeze(self, until: float) -> None:
        """Grant nothing before `until`, and then begin with an empty bucket. Never shortens a freeze."""

    def claim(self, owner: Threads | AbstractEventLoop) -> None:
        """Make `owner` the only user, or refuse (see Owned)."""


class RateLimiter(Owned):
    """A token bucket in this process: at most `burst` + `rate` × t calls in any t seconds.

    Kept as the moment at which the bucket will be full again (GCRA): one number, no refilling.
    """

    def __init__(self, *, rate: float, burst: float = 1) -> None:
        self.rate = checks.positive("rate", rate)
        self.burst = checks.at_least("burst", burst, 1)
        self.frozen_until = -inf
        self.interval = 1 / rate
        self._slack = (burst - 1) / rate
        self.full_at = -inf

    def take(self, now: float) -> float:
        full_at = self.full_at
        if full_at <= now:
            self.full_at = now + self.interval
            return 0.0
        if full_at <= now + self._slack:
            self.full_at = full_at + self.interval
            return 0.0
        return full_at - self._slack - now

    def remaining(self, now: float) -> float:
        return max(0.0, min(self.burst, (now + self._slack - self.full_at) * self.rate + 1))

    def freeze(self, until: float) -> None:
        self.frozen_until = max(self.frozen_until, until)
        self.full_at = max(self.full_at, until + self._slack)


class Unmetered(Owned):
    """Tokens without end, as long as the provider does not throttle: for keys whose limit nobody knows."""

    def __init__(self) -> None:
        self.frozen_until = -inf

    def take(self, now: float) -> float:
        return 0.0 if now >= self.frozen_until else self.frozen_until - now

    def remaining(self, now: float) -> float:
        return inf if now >= self.frozen_until else 0.0

    def freeze(self, until: float) -> None:
        self.frozen_until = max(self.frozen_until, until)


class Unlimited(Unmetered):
    """Tokens without end, whatever the provider says: for calls without this layer."""

    def freeze(self, until: float) -> None:
        """Left to whoever called."""
