"""Calls that survive: one composed policy around every outgoing call; needs none of the rest.

    from prodsprints.guard import Guard, RateLimiter, RateLimitError

    github = Guard("github", deadline_seconds=20, limiter=RateLimiter(rate=80, burst=100))

    @github
    async def repository(name: str) -> dict: ...

tenacity's strategies can be imported from here; only asking for one, or a failed call, loads tenacity.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from prodsprints.guard.attempt import Attempt
from prodsprints.guard.breaker import Circuit, CircuitBreaker
from prodsprints.guard.budget import RetryBudget
from prodsprints.guard.bulkhead import Bulkhead
from prodsprints.guard.clock import Clock
from prodsprints.guard.deadline import deadline, remaining_seconds
from prodsprints.guard.decorators import circuit_breaker, retry
from prodsprints.guard.errors import (
    UNAVAILABLE,
    BulkheadFullError,
    CallTimeoutError,
    CircuitOpenError,
    DeadlineExceeded,
    GuardError,
    GuardInputError,
    GuardMisusedError,
    QuotaSpentError,
    RateLimitError,
    Rejection,
    ServiceUnavailable,
)
from prodsprints.guard.fallback import Failover, Fallback
from prodsprints.guard.guard import Guard
from prodsprints.guard.keys import Key, KeyPool
from prodsprints.guard.limiter import LeaseSource, RateLimiter
from prodsprints.guard.profiles import Limit, Profile, profile, profiles
from prodsprints.guard.retry import Retry, full_jitter
from prodsprints.guard.stale import Answer, StaleIfError
from prodsprints.guard.telemetry import Durations, Outcome, Quota, Snapshot

if TYPE_CHECKING:
    from tenacity import (
        retry_if_exception,
        retry_if_exception_type,
        stop_after_attempt,
        stop_after_delay,
        wait_exponential,
        wait_exponential_jitter,
        wait_fixed,
        wait_random_exponential,
    )

_TENACITYS = frozenset(
    {
        "retry_if_exception",
        "retry_if_exception_type",
        "stop_after_attempt",
        "stop_after_delay",
        "wait_exponential",
        "wait_exponential_jitter",
        "wait_fixed",
        "wait_random_exponential",
    }
)


def __getattr__(name: str) -> object:
    if name in _TENACITYS:
        return getattr(import_module("tenacity"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "UNAVAILABLE",
    "Answer",
    "Attempt",
    "Bulkhead",
    "BulkheadFullError",
    "CallTimeoutError",
    "Circuit",
    "CircuitBreaker",
    "CircuitOpenError",
    "Clock",
    "DeadlineExceeded",
    "Durations",
    "Failover",
    "Fallback",
    "Guard",
    "GuardError",
    "GuardInputError",
    "GuardMisusedError",
    "Key",
    "KeyPool",
    "LeaseSource",
    "Limit",
    "Outcome",
    "Profile",
    "Quota",
    "QuotaSpentError",
    "RateLimitError",
    "RateLimiter",
    "Rejection",
    "Retry",
    "RetryBudget",
    "ServiceUnavailable",
    "Snapshot",
    "StaleIfError",
    "circuit_breaker",
    "deadline",
    "full_jitter",
    "profile",
    "profiles",
    "remaining_seconds",
    "retry",
    "retry_if_exception",
    "retry_if_exception_type",
    "stop_after_attempt",
    "stop_after_delay",
    "wait_exponential",
    "wait_exponential_jitter",
    "wait_fixed",
    "wait_random_exponential",
]
