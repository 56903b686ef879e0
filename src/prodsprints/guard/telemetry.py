"""What a guard counts, in memory: outcomes and durations, read as a snapshot."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from prodsprints.guard.breaker import Circuit
from prodsprints.guard.errors import (
    BulkheadFullError,
    CallTimeoutError,
    CircuitOpenError,
    QuotaSpentError,
    RateLimitError,
)

# The boundaries OpenTelemetry advises for durations of calls, and finer ones below for what is near.
BOUNDS_SECONDS = (
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    30.0, 60.0,
)  # fmt: skip


class Outcome(StrEnum):
    """How a call ended for its caller."""

    SUCCEEDED = "succeeded"
    FAILED_OVER = "failed-over"
    FELL_BACK = "fell-back"
    FAILED = "failed"
    RATE_LIMITED = "rate-limited"
    TIMED_OUT = "timed-out"
    CIRCUIT_OPEN = "circuit-open"
    BULKHEAD_FULL = "bulkhead-full"
    QUOTA_SPENT = "quota-spent"
    CANCELLED = "cancelled"

    @classmethod
    def of(cls, error: BaseException) -> Outcome:
        """The outcome of a call that raised `error`."""
        return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), cls.CANCELLED)


_OUTCOMES: tuple[tuple[type[BaseException], Outcome], ...] = (
    (CircuitOpenError, Outcome.CIRCUIT_OPEN),
    (BulkheadFullError, Outcome.BULKHEAD_FULL),
    (QuotaSpentError, Outcome.QUOTA_SPENT),
    (RateLimitError, Outcome.RATE_LIMITED),
    (CallTimeoutError, Outcome.TIMED_OUT),
    (Exception, Outcome.FAILED),
)


@dataclass(frozen=True)
class Durations:
    """A histogram: `counts[i]` calls took at most `bounds[i]` seconds, the last ones longer than all bounds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    seconds: float

    @property
    def calls(self) -> int:
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """The bound below which `share` of the calls lie; infinity beyond the last bound; 0 without calls."""
        below, wanted = 0, share * self.calls
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            below += count
            if below >= wanted:
                return bound if below else 0.0
        return 0.0


@dataclass(frozen=True)
class Snapshot:
    """What a guard has seen since it was built."""

    name: str
    circuit: Circuit
    trips: int
    in_flight: int
    retry_tokens: float
    frozen_keys: tuple[str, ...]
    calls: Mapping[Outcome, Durations]
    retries: int
    throttled: int
    budget_spent: int

    def count(self, outcome: Outcome) -> int:
        return self.calls[outcome].calls if outcome in self.calls else 0


class Histogram:
    """Durations, still growing. Plain attributes: the fused path counts in them without a call."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.seconds += seconds

    def freeze(self) -> Durations:
        return Durations(BOUNDS_SECONDS, tuple(self.counts), self.seconds)


class Telemetry:
    """The counts of one guard."""

    def __init__(self) -> None:
        self.succeeded = Histogram()
        self.histograms = {Outcome.SUCCEEDED: self.succeeded}
        self.retries = 0
        self.throttled = 0
        self.budget_spent = 0

    def ended(self, outcome: Outcome, seconds: float) -> None:
        self.histograms.setdefault(outcome, Histogram()).add(seconds)
