"""However many workers a fleet has, in an outage they make few more requests than they were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from guard.support_clock import ManualClock
from prodsprints.controls.providers.budget import SharedBudget
from prodsprints.controls.providers.fleet import Fleet
from prodsprints.controls.providers.link import Link
from prodsprints.guard import CircuitBreaker, Guard, Retry, RetryBudget, ServiceUnavailable
from prodsprints.store.embedded import EmbeddedPostgres
from support_waiting import eventually

WORKERS = 4


@pytest.fixture
def budgets(postgres: EmbeddedPostgres) -> Iterator[list[RetryBudget]]:
    fleets, name = [Fleet(postgres.address()) for _ in range(WORKERS)], f"p/{uuid4().hex}"
    yield [fleet.budget(name) for fleet in fleets]
    for fleet in fleets:
        fleet.close()


def test_at_full_failure_the_fleet_sends_a_tenth_more_at_most(budgets: list[RetryBudget]) -> None:
    asked = sent = 0

    def provider() -> None:
        nonlocal sent
        sent += 1
        raise ServiceUnavailable

    calls = [
        Guard("p", budget=budget, breaker=CircuitBreaker(failure_threshold=10_000), retry=Retry(wait=lambda _: 0.0))(
            provider
        )
        for budget in budgets
    ]
    eventually(lambda: all(budget.tokens >= 1 for budget in budgets))
    for _ in range(60):
        for call in calls:
            asked += 1
            with pytest.raises(ServiceUnavailable):
                call()
    assert sent > asked
    assert sent / asked <= 1.1


def test_what_one_worker_earns_another_may_spend(budgets: list[RetryBudget]) -> None:
    eventually(lambda: all(budget.tokens >= 1 for budget in budgets))
    spent = 0
    while any(budget.spend(0.0) for budget in budgets):
        spent += 1
    for _ in range(200):
        budgets[0].succeeded()
    eventually(lambda: budgets[3].spend(0.0))
    assert spent <= 12  # ten, and what some seconds refill


def test_while_the_store_is_down_a_process_has_its_share() -> None:
    clock = ManualClock()
    link = Link(clock)
    link.answered(clock.now(), sent=clock.now(), workers=5)
    budget = SharedBudget(link, "p", reserve=10)
    budget.answer({"granted": 2, "left": 8}, sent=clock.now(), now=clock.now())
    link.sending(clock.now() - 10)
    assert [budget.spend(clock.now()) for _ in range(4)] == [True, True, False, False]
    assert budget.spend(clock.now() + 31)
    assert not budget.spend(clock.now() + 32)


def test_a_full_budget_is_not_told_of_successes() -> None:
    link = Link(ManualClock())
    budget = SharedBudget(link, "p")
    budget.answer({"granted": 5, "left": 10}, sent=0, now=0)
    for _ in range(100):
        budget.succeeded()
    assert budget.ask(0).keys() == {"name", "reserve", "refill"}
    budget.answer({"granted": 0, "left": 3}, sent=0, now=0)
    for _ in range(20):
        budget.succeeded()
    assert budget.ask(0)["earned"] == pytest.approx(2.0)
