"""The composed policy of one guard, complete: a layer that is not wanted is there as an inert one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from prodsprints.guard import spans
from prodsprints.guard.breaker import CircuitBreaker
from prodsprints.guard.budget import RetryBudget
from prodsprints.guard.bulkhead import Bulkhead
from prodsprints.guard.clock import Clock
from prodsprints.guard.errors import GuardError, RateLimitError, Rejection
from prodsprints.guard.keys import HeldKey, KeyPool
from prodsprints.guard.ownership import STATE, Owned, Threads
from prodsprints.guard.retry import Retry
from prodsprints.guard.telemetry import Outcome, Snapshot, Telemetry

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from prodsprints.guard.reaper import Reaper


@dataclass(eq=False)
class Layers(Owned):
    """`Deadline(Fallback(Failover(Retry+Budget(Breaker(Bulkhead(KeyPool+Bucket(Timeout(fn))))))))`, without the
    function and what only it can know: its alternates and its answer at hand."""

    name: str
    deadline_seconds: float
    retry: Retry
    budget: RetryBudget
    breaker: CircuitBreaker
    bulkhead: Bulkhead
    keys: KeyPool
    timeout_seconds: float
    freeze_seconds: float
    longest_freeze_seconds: float
    clock: Clock
    random: Callable[[], float]
    sampled: float = 0.0

    def __post_init__(self) -> None:
        self.telemetry = Telemetry()
        self.spans = spans.bucket()
        self.reaper: Reaper | None = None

    @property
    def first_attempt_seconds(self) -> float:
        """How long the first attempt may take."""
        return min(self.timeout_seconds, self.deadline_seconds)

    def claim(self, owner: Threads | AbstractEventLoop) -> None:
        for component in (self.budget, self.breaker, self.bulkhead, self.keys):
            component.claim(owner)
        super().claim(owner)
        if not isinstance(owner, Threads) and self.first_attempt_seconds < inf:
            from prodsprints.guard.reaper import Reaper  # asyncio, which a guard of threads needs not load

            self.reaper = Reaper(owner, self.first_attempt_seconds, self.clock.now)

    def failed(self, error: BaseException, *, era: int, held: HeldKey, began: float) -> None:
        """Tell each layer of a first attempt that ended with `error`, innermost first, as the pipeline does."""
        now = self.clock.now()
        if isinstance(error, RateLimitError):
            self.throttled(held, error, now)
        self.bulkhead.leave()
        self.breaker.ended(era, error, now)
        outcome = Outcome.of(error)
        self.telemetry.attempted(outcome, now - began)
        if not isinstance(error, Exception):
            self.telemetry.ended(outcome, now - began)

    def throttled(self, held: HeldKey, error: RateLimitError, now: float) -> None:
        """The provider throttles `held`: leave it alone. A Rejection is no word of the provider's."""
        if not isinstance(error, Rejection):
            self.telemetry.throttled += 1
            held.quota.freeze(now + self.floor(error, otherwise=self.freeze_seconds))

    def floor(self, error: BaseException, *, otherwise: float = 0.0) -> float:
        """The seconds that `error` asks to wait, up to what we are ready to believe."""
        asked = error.retry_after if isinstance(error, GuardError) else None
        return otherwise if asked is None else min(asked, self.longest_freeze_seconds)

    def snapshot(self) -> Snapshot:
        telemetry, breaker, now = self.telemetry, self.breaker, self.clock.now()
        with STATE:
            return Snapshot(
                name=self.name,
                circuit=breaker.circuit,
                trips=breaker.trips,
                last_trips=tuple(now - tripped_at for tripped_at in breaker.last_trips),
                in_flight=self.bulkhead.in_flight,
                limit=self.bulkhead.limit,
                retry_tokens=self.budget.tokens,
                retry_reserve=self.budget.reserve,
                quotas=self.keys.standing(now),
                calls=telemetry.calls(),
                attempts=telemetry.attempts(),
                rejections=telemetry.rejections(),
                retries=telemetry.retries,
                throttled=telemetry.throttled,
                budget_spent=telemetry.budget_spent,
            )
