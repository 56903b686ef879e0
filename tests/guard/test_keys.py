"""Keys: a throttled one rests, the others work, and a 429 never opens the circuit."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from guard.support_clock import ManualClock
from prodsprints.guard import (
    Attempt,
    Circuit,
    Guard,
    GuardInputError,
    Key,
    KeyPool,
    QuotaSpentError,
    RateLimiter,
    RateLimitError,
)


class Provider:
    """Notes which key called when, and throttles the keys that it is told to."""

    def __init__(self, clock: ManualClock, **retry_after: float | None) -> None:
        self.clock = clock
        self.retry_after = retry_after
        self.calls: list[tuple[float, str]] = []

    def __call__(self, attempt: Attempt) -> str:
        name = attempt.key.name
        self.calls.append((self.clock.now(), name))
        if name in self.retry_after:
            raise RateLimitError(self.retry_after[name])
        return name


def pool(*names: str, **buckets: Any) -> KeyPool:
    return KeyPool([Key(name, f"secret of {name}") for name in names], **buckets)


def test_work_goes_on_with_the_third_key_and_no_frozen_key_is_called(clock: ManualClock) -> None:
    guard, provider = Guard("p", keys=pool("a", "b", "c"), clock=clock), Provider(clock, a=60, b=60)
    call = guard.with_attempt(provider)
    for _ in range(100):
        assert call() == "c"
        clock.seconds += 0.1
    counts = Counter(name for _, name in provider.calls)
    assert counts == {"a": 1, "b": 1, "c": 100}
    assert guard.snapshot().frozen_keys == ("a", "b")
    assert guard.snapshot().circuit is Circuit.CLOSED


def test_a_throttled_call_goes_on_with_another_key_at_once(clock: ManualClock) -> None:
    guard = Guard("p", keys=pool("a", "b"), clock=clock)
    assert guard.with_attempt(Provider(clock, a=60))() == "b"
    assert sum(clock.slept) == 0


def test_a_throttled_key_is_used_again_when_its_time_has_come(clock: ManualClock) -> None:
    provider = Provider(clock, a=60)
    call = Guard("p", keys=pool("a", "b"), clock=clock).with_attempt(provider)
    call()
    provider.retry_after.clear()
    clock.seconds += 60
    assert {call() for _ in range(50)} == {"a", "b"}


def test_keys_of_one_account_share_its_bucket_and_its_freeze(clock: ManualClock) -> None:
    keys = KeyPool([Key("a1", scope="a"), Key("a2", scope="a"), Key("b")])
    provider = Provider(clock, a1=60, a2=60)
    call = Guard("p", keys=keys, clock=clock).with_attempt(provider)
    for _ in range(40):
        call()
    assert len({name for _, name in provider.calls} & {"a1", "a2"}) == 1


def test_with_all_keys_frozen_a_call_waits_for_the_first_to_thaw(clock: ManualClock) -> None:
    guard, provider = Guard("p", keys=pool("a", "b"), clock=clock, deadline_seconds=15), Provider(clock, a=10, b=20)

    def throttled_once(attempt: Attempt) -> str:
        try:
            return provider(attempt)
        finally:
            provider.retry_after.pop(attempt.key.name, None)

    began = clock.now()
    assert guard.with_attempt(throttled_once)() == "a"
    assert [name for _, name in provider.calls] == ["a", "b", "a"]
    assert 10 <= clock.now() - began <= 13


def test_with_all_keys_frozen_for_too_long_the_call_is_refused_at_once(clock: ManualClock) -> None:
    keys, provider = pool("a", "b"), Provider(clock)
    for quota in keys.quotas.values():
        quota.freeze(clock.now() + 100)
    with pytest.raises(QuotaSpentError) as rejection:
        Guard("p", keys=keys, clock=clock, deadline_seconds=15).with_attempt(provider)()
    assert rejection.value.retry_after == pytest.approx(100)
    assert clock.slept == provider.calls == []


def test_a_provider_that_throttles_without_a_word_freezes_the_key_for_a_second(clock: ManualClock) -> None:
    provider = Provider(clock, a=None)
    guard = Guard("p", keys=pool("a"), clock=clock, deadline_seconds=0.5)
    with pytest.raises(RateLimitError):
        guard.with_attempt(provider)()
    assert guard.snapshot().frozen_keys == ("a",)
    clock.seconds += 1
    assert guard.snapshot().frozen_keys == ()


def test_throttling_never_opens_the_circuit(clock: ManualClock) -> None:
    guard = Guard("p", clock=clock, deadline_seconds=3600, limiter=RateLimiter(rate=10))

    @guard
    def throttled() -> None:
        raise RateLimitError(1)

    for _ in range(20):
        with pytest.raises(RateLimitError):
            throttled()
    assert guard.snapshot().circuit is Circuit.CLOSED
    assert guard.snapshot().trips == 0
    assert guard.snapshot().throttled == 100


def test_the_key_with_the_most_quota_is_taken(clock: ManualClock) -> None:
    rates = {"small": 1.0, "large": 9.0}
    keys = pool("small", "large", quota=lambda scope: RateLimiter(rate=rates[scope], burst=10 * rates[scope]))
    provider = Provider(clock)
    call = Guard("p", keys=keys, clock=clock).with_attempt(provider)
    for _ in range(1000):
        call()
        clock.seconds += 0.1
    counts = Counter(name for _, name in provider.calls)
    assert counts["large"] > 5 * counts["small"]


def test_callers_that_wait_for_one_frozen_key_do_not_come_back_together(clock: ManualClock) -> None:
    random = iter([0.1, 0.9, 0.5])
    guard = Guard("p", clock=clock, random=lambda: next(random))
    guard._layers.keys.held[0].quota.freeze(clock.now() + 2)
    began, back = clock.now(), []
    for _ in range(3):
        clock.seconds = began
        guard(lambda: back.append(clock.now() - began))()
    assert back == pytest.approx([2.1, 2.9, 2.5])


def test_an_attempt_knows_its_time(clock: ManualClock) -> None:
    seen = []

    def slow(attempt: Attempt) -> None:
        seen.append(attempt.remaining_seconds)
        clock.seconds += 4
        seen.append(attempt.remaining_seconds)
        if len(seen) == 2:
            raise RateLimitError(0)

    Guard("p", clock=clock, timeout_seconds=5, deadline_seconds=7, random=lambda: 0).with_attempt(slow)()
    assert seen[:2] == [5, 1]
    assert seen[2] < 3


def test_a_secret_is_in_no_representation() -> None:
    key = Key("a", "hunter2")
    assert "hunter2" not in repr(key) + repr(KeyPool([key]).held)


def test_a_pool_without_keys_or_with_two_of_one_name_is_refused() -> None:
    with pytest.raises(GuardInputError, match="at least one key"):
        KeyPool([])
    with pytest.raises(GuardInputError, match="one name"):
        pool("a", "a")


def test_a_limiter_beside_keys_is_refused() -> None:
    with pytest.raises(GuardInputError, match="either"):
        Guard("p", keys=pool("a"), limiter=RateLimiter(rate=1))
