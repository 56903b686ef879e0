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

    def __add__(self, other: Durations) -> Durations:
        counts = tuple(one + another for one, another in zip(self.counts, other.counts, strict=True))
        return Durations(self.bounds, counts, self.seconds + other.seconds)

    def quantile(self, share: float) -> float:
        """The bound below which `share` of the calls lie; infinity beyond the last bound; 0 without calls."""
        below, wanted = 0, share * self.calls
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            below += count
            if below >= wanted:
                return bound if below else 0.0
        return 0.0


@dataclass(frozen=True)
class Quota:
    """A scope's bucket as it stands; `keys` are the names of those that share it, never their secrets.

    `shared` is the bucket's name in a whole fleet, empty where it is this process' own. `rate` and `burst` are None
    where nobody knows the limit; `remaining` is None where nothing counts.
    """

    scope: str
    shared: str
    keys: tuple[str, ...]
    rate: float | None
    burst: float | None
    remaining: float | None
    frozen_seconds: float


@dataclass(frozen=True)
class Snapshot:
    """What a guard has seen since it was built.

    Durations are of whole calls in `calls` and of single attempts in `attempts`; `rejections` count what the guard
    itself turned away, also where a fallback answered then. `last_trips` are ages in seconds, the oldest first.
    """

    name: str
    circuit: Circuit
    trips: int
    last_trips: tuple[float, ...]
    in_flight: int
    limit: float
    retry_tokens: float
    retry_reserve: float
    quotas: tuple[Quota, ...]
    calls: Mapping[Outcome, Durations]
    attempts: Mapping[Outcome, Durations]
    rejections: Mapping[Outcome, int]
    retries: int
    throttled: int
    budget_spent: int

    @property
    def frozen_keys(self) -> tuple[str, ...]:
        """The names of the keys that wait until their provider takes them again."""
        return tuple(key for quota in self.quotas if quota.frozen_seconds > 0 for key in quota.keys)

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
    """The counts of one guard.

    A call that its first attempt answers is counted once, `at_once`, as the call and as the attempt that it is.
    """

    def __init__(self) -> None:
        self.at_once = Histogram()
        self._calls: dict[Outcome, Histogram] = {}
        self._attempts: dict[Outcome, Histogram] = {}
        self._rejections: dict[Outcome, int] = {}
        self.retries = 0
        self.throttled = 0
        self.budget_spent = 0

    def ended(self, outcome: Outcome, seconds: float) -> None:
        """A call ended, after more than one attempt or without success."""
        _add(self._calls, outcome, seconds)

    def attempted(self, outcome: Outcome, seconds: float) -> None:
        """One attempt of such a call ended."""
        _add(self._attempts, outcome, seconds)

    def rejected(self, outcome: Outcome) -> None:
        """The guard itself turned a call away."""
        self._rejections[outcome] = self._rejections.get(outcome, 0) + 1

    def calls(self) -> dict[Outcome, Durations]:
        return self._frozen(self._calls)

    def attempts(self) -> dict[Outcome, Durations]:
        return self._frozen(self._attempts)

    def rejections(self) -> dict[Outcome, int]:
        return dict(self._rejections)

    def _frozen(self, histograms: dict[Outcome, Histogram]) -> dict[Outcome, Durations]:
        # copied first: an event loop may go on counting meanwhile, without a lock
        frozen = {outcome: histogram.freeze() for outcome, histogram in list(histograms.items())}
        at_once = self.at_once.freeze()
        if at_once.calls:
            others = frozen.get(Outcome.SUCCEEDED)
            frozen[Outcome.SUCCEEDED] = at_once + others if others else at_once
        return frozen


def _add(histograms: dict[Outcome, Histogram], outcome: Outcome, seconds: float) -> None:
    histogram = histograms.get(outcome)
    if histogram is None:
        histogram = histograms[outcome] = Histogram()
    histogram.add(seconds)
