"""What answers when the provider cannot: another one, what is at hand, or what was answered before."""

from __future__ import annotations

import asyncio
import math

import pytest

from guard.support_clock import ManualClock
from prodsprints.guard import (
    Answer,
    CircuitBreaker,
    CircuitOpenError,
    Failover,
    Fallback,
    Guard,
    GuardInputError,
    Outcome,
    Retry,
    ServiceUnavailable,
    StaleIfError,
)


@pytest.fixture
def guard(clock: ManualClock) -> Guard:
    return Guard("provider", clock=clock, retry=Retry(stop=lambda _: True), deadline_seconds=10)


def down(_: str = "") -> str:
    raise ServiceUnavailable


async def down_async(_: str = "") -> str:
    raise ServiceUnavailable


def test_the_first_alternate_that_can_answers(guard: Guard) -> None:
    call = guard(failover=Failover(down, str.upper, str.lower))(down)
    assert call("Aa") == "AA"
    assert guard.snapshot().count(Outcome.FAILED_OVER) == 1


def test_if_no_alternate_can_the_last_error_is_raised(guard: Guard) -> None:
    def other(_: str = "") -> str:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        guard(failover=Failover(down, other))(down)("a")


def test_an_alternate_is_not_asked_when_time_is_up(guard: Guard, clock: ManualClock) -> None:
    def slow(_: str) -> str:
        clock.seconds += 11
        raise ServiceUnavailable

    with pytest.raises(TimeoutError):
        guard(failover=Failover(str.upper))(slow)("a")


def test_a_fallback_answers_even_after_the_deadline(guard: Guard, clock: ManualClock) -> None:
    def slow(_: str) -> str:
        clock.seconds += 11
        raise ServiceUnavailable

    call = guard(failover=Failover(down), fallback=Fallback(lambda error, key: f"{key}: {type(error).__name__}"))(slow)
    assert call("a") == "a: DeadlineExceeded"
    assert guard.snapshot().count(Outcome.FELL_BACK) == 1


def test_the_callers_own_mistakes_are_not_hidden(guard: Guard) -> None:
    def mistaken(_: str) -> str:
        raise KeyError("no such thing")

    with pytest.raises(KeyError):
        guard(failover=Failover(str.upper), fallback=Fallback(lambda *_: "hidden"))(mistaken)("a")


def test_it_is_the_same_for_coroutines(guard: Guard) -> None:
    async def other(text: str = "") -> str:
        return text.upper()

    assert asyncio.run(guard(failover=Failover(down_async, other))(down_async)("a")) == "A"
    last = Guard("alone", retry=Retry(stop=lambda _: True))
    assert asyncio.run(last(fallback=Fallback(lambda *_: "at hand"))(down_async)("a")) == "at hand"


def test_an_open_circuit_falls_over_without_a_call(clock: ManualClock) -> None:
    guard = Guard("p", clock=clock, breaker=CircuitBreaker(failure_threshold=1), retry=Retry(stop=lambda _: True))
    calls = []

    @guard(failover=Failover(str.upper))
    def call(text: str) -> str:
        calls.append(text)
        raise ServiceUnavailable

    assert [call("a"), call("b")] == ["A", "B"]
    assert calls == ["a"]


def test_alternates_of_the_other_kind_are_refused(guard: Guard) -> None:
    with pytest.raises(GuardInputError, match="mixes"):
        guard(failover=Failover(down))(down_async)  # type: ignore[arg-type]


def test_a_failover_to_nowhere_is_refused() -> None:
    with pytest.raises(GuardInputError, match="somewhere"):
        Failover()


class Service:
    """Answers with a number that counts up, or is down."""

    def __init__(self) -> None:
        self.count = 0
        self.down = False

    def ask(self, _: str = "") -> int:
        if self.down:
            raise ServiceUnavailable
        self.count += 1
        return self.count


def test_a_dead_service_is_answered_for_with_the_age_of_the_answer(guard: Guard, clock: ManualClock) -> None:
    service = Service()
    ask = StaleIfError(max_age_seconds=60, clock=clock)(guard(service.ask))
    assert ask("a") == Answer(1)
    service.down = True
    clock.seconds += 42
    answer = ask("a")
    assert (answer.value, answer.age_seconds, answer.stale) == (1, 42, True)
    assert isinstance(answer.cause, ServiceUnavailable)


def test_an_answer_that_is_too_old_or_another_question_s_is_not_given(guard: Guard, clock: ManualClock) -> None:
    service = Service()
    ask = StaleIfError(max_age_seconds=60, clock=clock)(guard(service.ask))
    ask("a")
    service.down = True
    with pytest.raises(ServiceUnavailable):
        ask("b")
    clock.seconds += 60.1
    with pytest.raises(ServiceUnavailable):
        ask("a")


def test_an_open_circuit_gives_stale_answers_too(clock: ManualClock) -> None:
    service = Service()
    guard = Guard("p", clock=clock, breaker=CircuitBreaker(failure_threshold=1), retry=Retry(stop=lambda _: True))
    ask = StaleIfError(max_age_seconds=60, clock=clock)(guard(service.ask))
    ask("a")
    service.down = True
    assert [type(ask("a").cause) for _ in range(2)] == [ServiceUnavailable, CircuitOpenError]


def test_a_mistake_is_not_answered_from_the_cache(clock: ManualClock) -> None:
    @StaleIfError(max_age_seconds=60, clock=clock)
    def parse(text: str, answers: list[int] = [1]) -> int:  # noqa: B006 - counts the calls
        return answers.pop() if answers else int(text)

    assert parse("x").value == 1
    with pytest.raises(ValueError, match="x"):
        parse("x")


def test_only_so_many_answers_are_kept(clock: ManualClock) -> None:
    service = Service()
    ask = StaleIfError(max_age_seconds=60, max_entries=2, clock=clock)(service.ask)
    for key in ("a", "b", "a", "c"):
        ask(key)
    service.down = True
    assert [ask("a").value, ask("c").value] == [3, 4]
    with pytest.raises(ServiceUnavailable):
        ask("b")


def test_coroutines_are_answered_for_as_well(clock: ManualClock) -> None:
    service = Service()

    @StaleIfError(max_age_seconds=60, clock=clock)
    async def ask() -> int:
        return service.ask()

    assert asyncio.run(ask()) == Answer(1)
    service.down = True
    assert asyncio.run(ask()).value == 1


def test_critical_data_is_never_given_stale_nor_made_up(guard: Guard) -> None:
    critical = guard(critical=True)(down)
    with pytest.raises(GuardInputError, match="never given stale"):
        StaleIfError(max_age_seconds=60)(critical)
    with pytest.raises(GuardInputError, match="no fallback"):
        guard(critical=True, fallback=Fallback(lambda *_: ""))  # type: ignore[call-overload]


def test_arguments_that_tell_nothing_apart_are_refused() -> None:
    @StaleIfError(max_age_seconds=60)
    def ask(_: list[int]) -> int:
        return 1

    with pytest.raises(GuardInputError, match="hashable"):
        ask([1])


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
def test_answers_kept_for_ever_or_never_are_refused(seconds: float) -> None:
    with pytest.raises(GuardInputError, match="max_age_seconds"):
        StaleIfError(max_age_seconds=seconds)
