"""Leaves a failing provider alone, and finds out with one call whether it is back."""

from __future__ import annotations

from enum import StrEnum
from math import inf

from prodsprints.guard import checks
from prodsprints.guard.errors import CircuitOpenError, RateLimitError, Rejection
from prodsprints.guard.ownership import Owned

_REMEMBERED_TRIPS = 5


class Circuit(StrEnum):
    """What a breaker does with the next call: let it through, reject it, or let one through as a probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker(Owned):
    """Opens after `failure_threshold` failures in a row; `recovery_timeout` seconds later one probe may close it.

    `failures` are the errors that count. Never counted: a RateLimitError, which is a key's fault, and a guard's
    own Rejection. Each change of state begins a new era, and a call reports only to the era that admitted it: late
    answers from before the breaker opened neither close it nor keep it open.
    """

    def __init__(
        self,
        *,
        failure_threshold: int = 5,
        recovery_timeout: float = 60.0,
        failures: tuple[type[Exception], ...] = (Exception,),
    ) -> None:
        self.failure_threshold: float = checks.whole("failure_threshold", failure_threshold)
        self.recovery_timeout = checks.positive("recovery_timeout", recovery_timeout)
        self.failures = failures
        self.circuit = Circuit.CLOSED
        self.era = 0
        self.trips = 0
        self.last_trips: tuple[float, ...] = ()
        self.failures_in_a_row = 0
        self._changes_at = -inf

    @classmethod
    def inert(cls) -> CircuitBreaker:
        """One that never opens, for calls without this layer."""
        breaker = cls()
        breaker.failure_threshold = inf
        return breaker

    def probe_in(self, now: float) -> float:  # noqa: ARG002 - a breaker that is shared looks at it
        """How long a call at `now` should wait before it is admitted; a fleet's breaker has to be permitted a probe."""
        return 0.0

    def admit(self, now: float) -> int:
        """The era that admits a call at `now`; raises CircuitOpenError if none does.

        A probe that has not reported after another `recovery_timeout` counts as lost, and the next call is the probe:
        otherwise a call that hangs for ever would keep the circuit open for ever.
        """
        if self.circuit is not Circuit.CLOSED:
            if now < self._changes_at:
                raise self._rejection(self._changes_at - now)
            self._enter(Circuit.HALF_OPEN, now + self.recovery_timeout)
        return self.era

    def succeeded(self, era: int) -> None:
        """A call that was admitted in `era` was answered."""
        if era != self.era:
            return
        if self.circuit is Circuit.HALF_OPEN:
            self._enter(Circuit.CLOSED, -inf)
        self.failures_in_a_row = 0

    def failed(self, era: int, now: float) -> None:
        """A call that was admitted in `era` failed."""
        if era != self.era:
            return
        self.failures_in_a_row += 1
        if self.circuit is Circuit.HALF_OPEN or self.failures_in_a_row >= self.failure_threshold:
            self.trips += 1
            self.last_trips = (*self.last_trips[1 - _REMEMBERED_TRIPS :], now)
            self._enter(Circuit.OPEN, now + self.recovery_timeout)

    def ended(self, era: int, error: BaseException, now: float) -> None:
        """A call that was admitted in `era` raised `error`: what does that say about the provider?"""
        if isinstance(error, self.failures) and not isinstance(error, (RateLimitError, Rejection)):
            self.failed(era, now)
        elif isinstance(error, Exception) and not isinstance(error, (RateLimitError, Rejection)):
            self.succeeded(era)
        else:
            self._released(era, now)

    def _released(self, era: int, now: float) -> None:
        """It says nothing; if that call was the probe, the next one is."""
        if era == self.era and self.circuit is Circuit.HALF_OPEN:
            self._enter(Circuit.OPEN, now)

    def _enter(self, circuit: Circuit, changes_at: float) -> None:
        self.circuit = circuit
        self.era += 1
        self._changes_at = changes_at

    def _rejection(self, seconds: float) -> CircuitOpenError:
        return CircuitOpenError(
            "The provider is not called now: its circuit is open.",
            why=f"The last {self.failures_in_a_row} calls to it failed.",
            next_step=f"Try again in {seconds:.1f} s.",
            retry_after=seconds,
        )
