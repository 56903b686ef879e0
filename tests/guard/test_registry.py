"""Exporters find every guard of a process; what it counted stays counted, and names do not grow without end."""

from __future__ import annotations

import contextlib
import gc
import threading
from uuid import uuid4

import pytest

from guard.support_clock import ManualClock
from prodsprints.guard import (
    CircuitBreaker,
    Guard,
    GuardInputError,
    Key,
    KeyPool,
    Outcome,
    RateLimiter,
    RateLimitError,
    Retry,
    Snapshot,
    registry,
)


def seen(name: str) -> Snapshot:
    (found,) = [snapshot for snapshot in registry.snapshots() if snapshot.name == name]
    return found


@pytest.fixture
def name() -> str:
    return f"p-{uuid4().hex[:8]}"


def test_guards_of_one_name_are_one(name: str, clock: ManualClock) -> None:
    one = Guard(name, clock=clock, limiter=RateLimiter(rate=1, burst=5))
    other = Guard(name, clock=clock, breaker=CircuitBreaker(failure_threshold=1))
    one(lambda: None)()
    with pytest.raises(ZeroDivisionError):
        other(lambda: 1 / 0)()
    both = seen(name)
    assert (both.count(Outcome.SUCCEEDED), both.count(Outcome.FAILED)) == (1, 1)
    assert both.circuit == "open"
    assert both.limit == 2000
    assert both.last_trips == (0.0,)


def test_what_a_guard_counted_stays_when_it_is_gone(name: str) -> None:
    for calls in range(1, 4):
        guard = Guard(name, breaker=CircuitBreaker(failure_threshold=1))
        guard(lambda: None)()
        with pytest.raises(ZeroDivisionError):
            guard(lambda: 1 / 0)()
        del guard
        gc.collect()
        gone = seen(name)
        assert (gone.count(Outcome.SUCCEEDED), gone.count(Outcome.FAILED), gone.trips) == (calls, calls, calls)
        assert (gone.circuit, gone.in_flight, gone.limit, gone.quotas) == ("closed", 0, 0, ())


def test_names_beyond_the_most_are_counted_together() -> None:
    guards = [Guard(f"{uuid4().hex}") for _ in range(registry.MOST_NAMES + 5)]
    for guard in guards:
        guard(lambda: None)()
    shown = {snapshot.name for snapshot in registry.snapshots()}
    assert len(shown & {guard.name for guard in guards}) == registry.MOST_NAMES
    assert seen(registry.OTHERS).count(Outcome.SUCCEEDED) >= 5


@pytest.mark.parametrize("bad", ["", "x" * 301, "two\nlines", "\x00", None, 3])
def test_a_name_that_no_metric_can_carry_is_refused(bad: str) -> None:
    with pytest.raises(GuardInputError, match="name must be 1 to 300"):
        Guard(bad)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), True, "half"])
def test_a_share_that_cannot_be_sampled_is_refused(bad: float) -> None:
    with pytest.raises(GuardInputError, match="from 0 to 1"):
        Guard("p", sampled=bad)


def test_a_key_named_by_its_secret_is_refused() -> None:
    with pytest.raises(GuardInputError, match="holds its secret") as refused:
        KeyPool([Key("key hunter2hunter2", secret="hunter2hunter2")])
    assert "hunter2" not in str(refused.value)


def test_a_snapshot_knows_each_bucket_and_which_keys_wait(name: str, clock: ManualClock) -> None:
    pool = KeyPool(
        [Key("a", scope="eu"), Key("b", scope="eu"), Key("c")], quota=lambda _: RateLimiter(rate=10, burst=4)
    )
    guard = Guard(name, clock=clock, keys=pool, retry=Retry.never())

    @guard.with_attempt
    def call(attempt: object) -> None:
        raise RateLimitError(7)

    with pytest.raises(RateLimitError):
        call()
    clock.seconds += 2
    eu, c = guard.snapshot().quotas
    assert (eu.scope, eu.keys, eu.rate, eu.burst) == ("eu", ("a", "b"), 10, 4)
    assert (eu.frozen_seconds, eu.remaining) == (5.0, 0)
    assert (c.frozen_seconds, c.remaining) == (0.0, 4)
    assert guard.snapshot().frozen_keys == ("a", "b")


def test_reading_while_others_call_never_fails(name: str) -> None:
    guard = Guard(name, breaker=CircuitBreaker(failure_threshold=10**6), retry=Retry.never())
    ended = threading.Event()

    def storm() -> None:
        while not ended.is_set():
            for error in (None, ValueError(), RateLimitError(0.0001), KeyboardInterrupt()):
                call = guard(lambda error=error: (_ for _ in ()).throw(error) if error else None)
                with contextlib.suppress(ValueError, RateLimitError, KeyboardInterrupt):
                    call()

    threads = [threading.Thread(target=storm) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        counts = [seen(name).count(Outcome.SUCCEEDED) for _ in range(100)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert counts == sorted(counts)
