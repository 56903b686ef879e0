"""The fused paths and the pipeline, which is easier to read, mean the same on any history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.support_clock import ManualClock
from prodsprints.guard import (
    Bulkhead,
    CircuitBreaker,
    Durations,
    Fallback,
    Guard,
    Outcome,
    RateLimiter,
    RateLimitError,
    Retry,
    RetryBudget,
    ServiceUnavailable,
    Snapshot,
    full_jitter,
)
from prodsprints.guard.effects import perform
from prodsprints.guard.pipeline import Call, Guarded

ENDS: dict[str, Callable[[], object]] = {
    "answer": lambda: "answer",
    "unavailable": lambda: ServiceUnavailable(retry_after=0.5),
    "throttled": lambda: RateLimitError(2.0),
    "throttled silently": RateLimitError,
    "mistake": lambda: KeyError("mistake"),
    "reset": ConnectionResetError,
    "interrupt": KeyboardInterrupt,
}
# What each call of the provider ends with, how long it takes, and how long the caller waits before asking again.
HISTORIES = st.lists(
    st.tuples(
        st.sampled_from([*ENDS, "answer", "answer", "answer"]),
        st.sampled_from([0.0, 0.001, 0.5, 4.0]),
        st.sampled_from([0.0, 0.01, 1.0, 30.0]),
    ),
    max_size=30,
)


class World:
    """One guard, one provider, one clock, all with the same history ahead."""

    def __init__(self, history: list[tuple[str, float, float]]) -> None:
        self.clock = ManualClock()
        self.ends = iter([*history, *[("answer", 0.0, 0.0)] * 1000])
        self.pauses = [pause for _, _, pause in history]
        self.guard = Guard(
            "p",
            clock=self.clock,
            random=lambda: 0.25,
            deadline_seconds=20,
            retry=Retry(wait=full_jitter(random=lambda: 0.5)),
            budget=RetryBudget(reserve=3),
            breaker=CircuitBreaker(failure_threshold=2, recovery_timeout=5),
            bulkhead=Bulkhead(1),
            limiter=RateLimiter(rate=2, burst=3),
        )
        self.fallback: Fallback[[], str] = Fallback(lambda _: "at hand", on=(ConnectionResetError,))

    def provider(self) -> str:
        end, seconds, _ = next(self.ends)
        self.clock.seconds += seconds
        result = ENDS[end]()
        if isinstance(result, BaseException):
            raise result
        return str(result)

    def play(self, call: Callable[[], str]) -> list[object]:
        seen: list[object] = []
        for pause in self.pauses:
            try:
                seen.append(call())
            except BaseException as error:
                seen.append((type(error), str(error)))
            seen.append(self.clock.seconds)
            self.clock.seconds += pause
        return [*seen, rounded(self.guard.snapshot()), self.clock.slept]


def rounded(seen: Snapshot) -> Snapshot:
    """Sums of the same durations in another order differ in their last digit."""

    def each(durations: Mapping[Outcome, Durations]) -> dict[Outcome, Durations]:
        return {outcome: replace(one, seconds=round(one.seconds, 6)) for outcome, one in durations.items()}

    return replace(seen, calls=each(seen.calls), attempts=each(seen.attempts))


def fused(world: World) -> list[object]:
    return world.play(world.guard(fallback=world.fallback)(world.provider))


def piped(world: World) -> list[object]:
    guarded: Guarded[[], str] = Guarded(world.provider, world.guard._layers, None, world.fallback, False)

    def call() -> str:
        return perform(Call(guarded, (), {}, world.clock.now()).steps(), world.clock)

    return world.play(call)


def fused_async(world: World) -> list[object]:
    async def provider() -> str:
        return world.provider()

    call: Callable[[], Any] = world.guard(fallback=world.fallback)(provider)
    loop = asyncio.new_event_loop()

    def run() -> str:
        result: str = loop.run_until_complete(catching(call))
        if isinstance(result, BaseException):
            raise result
        return result

    async def catching(call: Callable[[], Any]) -> Any:
        try:
            return await call()
        except KeyboardInterrupt as interrupt:  # which would end the loop itself
            return interrupt

    try:
        return world.play(run)
    finally:
        loop.close()


@settings(max_examples=300)
@given(HISTORIES)
def test_threads_fused_and_piped_alike(history: list[tuple[str, float, float]]) -> None:
    assert fused(World(history)) == piped(World(history))


@settings(max_examples=100)
@given(HISTORIES)
def test_on_an_event_loop_as_in_threads(history: list[tuple[str, float, float]]) -> None:
    assert fused_async(World(history)) == fused(World(history))
