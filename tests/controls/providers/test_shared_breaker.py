"""One circuit for a fleet: opened by whoever sees the provider fail, closed by the one probe that a store permits."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from guard.support_clock import ManualClock
from prodsprints.controls.providers.breaker import SharedBreaker
from prodsprints.controls.providers.fleet import Fleet
from prodsprints.controls.providers.link import Link
from prodsprints.guard import (
    Circuit,
    CircuitBreaker,
    CircuitOpenError,
    Guard,
    GuardMisusedError,
    RateLimitError,
    Retry,
    ServiceUnavailable,
)
from prodsprints.guard.ownership import THREADS
from prodsprints.store.embedded import EmbeddedPostgres
from support_waiting import eventually

Join = Callable[..., "Worker"]


class Provider:
    """Whom all workers of a test call."""

    def __init__(self) -> None:
        self.works = True
        self.calls = 0
        self.block: threading.Event | None = None

    def __call__(self) -> str:
        self.calls += 1
        if self.block is not None:
            self.block.wait(10)
        if not self.works:
            raise ServiceUnavailable
        return "answer"


class Worker:
    """A process of the fleet with a guard for the provider."""

    def __init__(self, fleet: Fleet, name: str, provider: Provider, recovery: float) -> None:
        self.fleet = fleet
        self.breaker = fleet.breaker(name, failure_threshold=3, recovery_timeout=recovery)
        guard = Guard("p", breaker=self.breaker, retry=Retry.never())
        self.call = guard(provider)

    def tries(self) -> type[Exception] | str:
        try:
            return self.call()
        except (ServiceUnavailable, RateLimitError) as error:
            return type(error)

    def fail(self) -> None:
        for _ in range(3):
            assert self.tries() is ServiceUnavailable


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def join(postgres: EmbeddedPostgres, provider: Provider) -> Iterator[Join]:
    fleets: list[Fleet] = []
    name = f"p/{uuid4().hex}"

    def make(recovery: float = 0.3) -> Worker:
        fleets.append(Fleet(postgres.address()))
        return Worker(fleets[-1], name, provider, recovery)

    yield make
    for fleet in fleets:
        fleet.close()


def test_what_one_worker_finds_failing_all_leave_alone(join: Join, provider: Provider) -> None:
    first, second = join(30), join(30)
    provider.works = False
    first.fail()
    eventually(lambda: second.breaker.circuit is Circuit.OPEN)
    calls = provider.calls
    assert second.tries() is CircuitOpenError
    assert provider.calls == calls


def test_a_worker_that_comes_later_knows_it_too(join: Join, provider: Provider) -> None:
    provider.works = False
    first = join(30)
    first.fail()
    late = join(30)
    eventually(lambda: late.breaker.circuit is Circuit.OPEN)
    assert first.breaker.circuit is Circuit.OPEN


def test_one_probe_closes_the_circuit_of_all(join: Join, provider: Provider) -> None:
    workers = [join() for _ in range(4)]
    provider.works = False
    workers[0].fail()
    eventually(lambda: all(worker.breaker.circuit is Circuit.OPEN for worker in workers))
    provider.works, before, provider.block = True, provider.calls, threading.Event()
    time.sleep(0.35)
    threads = [threading.Thread(target=worker.tries) for worker in workers]
    for thread in threads:
        thread.start()
    eventually(lambda: sum(not thread.is_alive() for thread in threads) == 3)
    assert provider.calls == before + 1
    provider.block.set()
    eventually(lambda: all(worker.breaker.circuit is Circuit.CLOSED for worker in workers))
    provider.block = None
    assert [worker.tries() for worker in workers] == ["answer"] * 4


def test_a_probe_that_fails_keeps_it_open_for_all(join: Join, provider: Provider) -> None:
    first, second = join(), join()
    provider.works = False
    first.fail()
    eventually(lambda: second.breaker.circuit is Circuit.OPEN)
    time.sleep(0.35)
    eventually(lambda: second.tries() is ServiceUnavailable)
    calls = provider.calls
    assert first.tries() is CircuitOpenError
    assert provider.calls == calls


def test_a_probe_that_says_nothing_leaves_the_next_one_to_another(join: Join, provider: Provider) -> None:
    first, second = join(), join()
    provider.works = False
    first.fail()
    eventually(lambda: second.breaker.circuit is Circuit.OPEN)
    time.sleep(0.35)
    throttled = Guard("p", breaker=first.breaker, retry=Retry.never())(
        lambda: (_ for _ in ()).throw(RateLimitError(0.01))
    )

    def throttle() -> bool:
        try:
            throttled()
        except CircuitOpenError:
            return False
        except RateLimitError:
            return True
        return False

    eventually(throttle)
    provider.works = True
    eventually(lambda: second.tries() == "answer")


def test_a_lost_probe_is_replaced(join: Join, provider: Provider) -> None:
    first, second = join(), join()
    provider.works = False
    first.fail()
    eventually(lambda: second.breaker.circuit is Circuit.OPEN)
    provider.block = threading.Event()
    time.sleep(0.35)
    before = provider.calls
    hanging = threading.Thread(target=first.tries)
    hanging.start()
    eventually(lambda: provider.calls == before + 1)
    hung, provider.block, provider.works = provider.block, None, True
    eventually(lambda: second.tries() == "answer")
    hung.set()
    hanging.join()
    assert second.breaker.circuit is Circuit.CLOSED


def test_an_event_loops_circuit_is_changed_on_that_loop(
    join: Join, postgres: EmbeddedPostgres, provider: Provider
) -> None:
    first = join(30)
    changed_in: list[int] = []

    class Watched(SharedBreaker):
        def _adopt(self, *args: Any, **options: Any) -> None:
            changed_in.append(threading.get_ident())
            super()._adopt(*args, **options)

    async def answer() -> str:
        return "answer"

    async def use() -> None:
        other = join(30)
        watched = Watched(other.fleet._link, first.breaker.name, failure_threshold=3, recovery_timeout=30)
        other.fleet._joined(other.fleet._breakers, watched)
        await Guard("p", breaker=watched)(answer)()
        changed_in.clear()
        provider.works = False
        first.fail()
        for _ in range(500):
            if watched.circuit is Circuit.OPEN:
                break
            await asyncio.sleep(0.01)
        assert watched.circuit is Circuit.OPEN

    asyncio.run(use())
    assert set(changed_in) == {threading.get_ident()}


def test_while_the_store_is_down_a_process_probes_by_itself_at_a_moment_of_its_own() -> None:
    clock, moments = ManualClock(), []
    for _ in range(20):
        link = Link(clock)
        link.answered(clock.now(), sent=clock.now(), workers=2)
        link.sending(clock.now() - 10)
        breaker = SharedBreaker(link, "p", failure_threshold=1, recovery_timeout=10)
        breaker.failed(breaker.admit(clock.now()), clock.now())
        with pytest.raises(CircuitOpenError) as caught:
            breaker.admit(clock.now())
        moments.append(caught.value.retry_after)
        era = breaker.admit(clock.now() + 15)
        assert breaker.circuit is Circuit.HALF_OPEN
        breaker.succeeded(era)
        assert breaker.circuit is Circuit.CLOSED
    assert all(10 <= moment <= 15 for moment in moments)
    assert max(moments) - min(moments) > 1


def test_news_from_before_the_fleets_last_change_does_not_count() -> None:
    clock = ManualClock()
    link = Link(clock)
    link.answered(clock.now(), sent=clock.now(), workers=2)
    breaker = SharedBreaker(link, "p", failure_threshold=1)
    now = clock.now()
    breaker.failed(breaker.admit(now), now)
    assert breaker.ask(now)["say"] == "opened"
    closed = {"version": 7, "open": False, "permit": False, "probing": False, "probe_in": 0}
    breaker.answer(closed, sent=now, now=now)
    assert breaker.circuit is Circuit.CLOSED
    assert "say" not in breaker.ask(now)


def test_news_that_came_while_the_store_was_asked_is_told_next() -> None:
    clock = ManualClock()
    link = Link(clock)
    link.answered(clock.now(), sent=clock.now(), workers=2)
    breaker, now = SharedBreaker(link, "p", failure_threshold=1), clock.now()
    breaker.ask(now)
    breaker.failed(breaker.admit(now), now)
    breaker.answer({"version": 3, "open": False, "permit": False, "probing": False, "probe_in": 0}, sent=now, now=now)
    assert breaker.circuit is Circuit.OPEN
    assert breaker.ask(now)["say"] == "opened"


def test_a_permit_that_nobody_uses_is_given_back(join: Join, provider: Provider) -> None:
    clock = ManualClock()
    link = Link(clock)
    link.answered(clock.now(), sent=clock.now(), workers=2)
    breaker, now = SharedBreaker(link, "p", failure_threshold=1, recovery_timeout=1), clock.now()
    breaker.answer({"version": 1, "open": True, "permit": False, "probing": False, "probe_in": 0}, sent=now, now=now)
    assert breaker.probe_in(now) > 0
    assert breaker.ask(now)["probe"]
    breaker.answer({"version": 1, "open": True, "permit": True, "probing": True, "probe_in": 0}, sent=now, now=now)
    assert breaker.probe_in(now) == 0
    assert breaker.ask(now + 2)["say"] == "released"
    with pytest.raises(CircuitOpenError):
        breaker.admit(now + 2)


def test_a_forked_child_is_refused(join: Join) -> None:
    breaker: CircuitBreaker = join().breaker
    child = os.fork()
    if child == 0:
        try:
            breaker.claim(THREADS)
        except GuardMisusedError:
            os._exit(7)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
