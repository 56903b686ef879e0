"""Where the platform's own guards are composed: one for each provider and account, on what the fleet shares of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prodsprints.controls.providers.fleet import Fleet
from prodsprints.guard import (
    Bulkhead,
    CircuitBreaker,
    Clock,
    Guard,
    GuardInputError,
    Key,
    KeyPool,
    LeaseSource,
    Limit,
    Profile,
    RateLimiter,
    Retry,
    RetryBudget,
    profile,
)
from prodsprints.guard.clock import SYSTEM
from prodsprints.guard.limiter import Unmetered


@dataclass(frozen=True)
class Policy:
    """What a guard does beyond its provider's profile; None leaves a time to the profile.

    `failures` are the errors that count against the provider. `keys` are spread over their scopes' buckets.
    """

    deadline_seconds: float | None = None
    timeout_seconds: float | None = None
    retry: Retry | None = None
    failure_threshold: int = 5
    recovery_timeout: float = 60.0
    failures: tuple[type[Exception], ...] = (Exception,)
    keys: tuple[Key, ...] = ()


class Guards:
    """All guards of one process. With a fleet their buckets, frozen keys, circuits and retry budgets are shared by all.

    Without one they are this process's own, and a limit holds for each kind of guard, synchronous and asynchronous.
    """

    def __init__(self, fleet: Fleet | None = None, *, clock: Clock = SYSTEM, profiles: Path | None = None) -> None:
        self._fleet = fleet
        self._clock = clock
        self._profiles = profiles
        self._lock = threading.Lock()
        self._built: dict[tuple[str, str, bool], tuple[Guard, Policy | None]] = {}

    def guard(
        self,
        provider: str | Profile,
        *,
        account: str = "",
        policy: Policy | None = None,
        asynchronous: bool = False,
    ) -> Guard:
        """The one guard for calls to `provider` that draw on the quota of `account`; built when it is first asked for.

        `asynchronous` is the kind of the functions that it will guard. Whoever asks first says the policy; others leave
        it out or say the same. Raises GuardInputError for an unknown provider, or for a second policy.
        """
        found = profile(provider, overrides=self._profiles) if isinstance(provider, str) else provider
        place = (found.name, account, asynchronous)
        with self._lock:
            guard, agreed = self._built.get(place) or (self._build(found, account, policy or Policy()), policy)
            if policy is not None and policy != agreed:
                raise GuardInputError(
                    f"There is a guard for {found.name} with another policy.",
                    why="What is known of a provider is known in one place.",
                    next_step="Say the same policy, or leave it out.",
                )
            self._built[place] = guard, agreed
            return guard

    def __iter__(self) -> Iterator[Guard]:
        """Those that were built so far."""
        with self._lock:
            return iter([guard for guard, _ in self._built.values()])

    def _build(self, found: Profile, account: str, policy: Policy) -> Guard:
        shared = f"{found.name}/{account}" if account else found.name
        return Guard(
            shared,
            deadline_seconds=policy.deadline_seconds or found.deadline_seconds,
            timeout_seconds=policy.timeout_seconds or found.timeout_seconds,
            retry=policy.retry,
            budget=self._fleet.budget(shared) if self._fleet else RetryBudget(),
            breaker=(self._fleet.breaker if self._fleet else _local_breaker)(
                shared,
                failure_threshold=policy.failure_threshold,
                recovery_timeout=policy.recovery_timeout,
                failures=policy.failures,
            ),
            bulkhead=Bulkhead(found.concurrency),
            keys=self._pool(found, shared, policy.keys),
            freeze_seconds=found.freeze_seconds,
            longest_freeze_seconds=found.longest_freeze_seconds,
            clock=self._clock,
        )

    def _pool(self, found: Profile, shared: str, keys: Sequence[Key]) -> KeyPool:
        if not keys:
            return KeyPool.anonymous(self._bucket(found.limit, shared))
        return KeyPool(keys, quota=lambda scope: self._bucket(found.limit, f"{shared}/{scope}"))

    def _bucket(self, limit: Limit | None, scope: str) -> LeaseSource:
        if self._fleet is None:
            return Unmetered() if limit is None else RateLimiter(rate=limit.rate, burst=limit.burst)
        if limit is None:
            return self._fleet.unmetered(scope)
        return self._fleet.limiter(scope, rate=limit.rate, burst=limit.burst)


def _local_breaker(
    _: str, *, failure_threshold: int, recovery_timeout: float, failures: tuple[type[Exception], ...]
) -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=failure_threshold, recovery_timeout=recovery_timeout, failures=failures)
