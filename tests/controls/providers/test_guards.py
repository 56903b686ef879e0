"""One guard for each provider and account, with its profile's limit, shared by the fleet where there is one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from prodsprints.controls.providers.fleet import Fleet
from prodsprints.controls.providers.guards import Guards, Policy
from prodsprints.guard import GuardInputError, Key, Limit, Profile, RateLimitError, Retry
from prodsprints.store.embedded import EmbeddedPostgres
from support_waiting import eventually


@pytest.fixture
def provider() -> Profile:
    return Profile(f"p-{uuid4().hex[:8]}", limit=Limit(rate=50, burst=5), deadline_seconds=5)


@pytest.fixture
def fleets(postgres: EmbeddedPostgres) -> Iterator[tuple[Fleet, Fleet]]:
    both = Fleet(postgres.address()), Fleet(postgres.address())
    yield both
    for fleet in both:
        fleet.close()


def test_a_provider_and_account_has_one_guard_for_each_kind_of_function() -> None:
    guards = Guards()
    assert guards.guard("github") is guards.guard("github")
    assert guards.guard("github") is not guards.guard("github", asynchronous=True)
    assert guards.guard("github") is not guards.guard("github", account="other")
    assert sorted(guard.name for guard in guards) == ["github", "github", "github/other"]


def test_a_provider_that_nobody_described_is_refused_with_what_is_near() -> None:
    with pytest.raises(GuardInputError, match="github"):
        Guards().guard("githup")


def test_a_second_policy_for_the_same_guard_is_refused() -> None:
    guards, policy = Guards(), Policy(deadline_seconds=3)
    guard = guards.guard("github", policy=policy)
    assert guards.guard("github", policy=Policy(deadline_seconds=3)) is guard
    assert guards.guard("github") is guard
    with pytest.raises(GuardInputError, match="another policy"):
        guards.guard("github", policy=Policy(deadline_seconds=4))


def test_a_key_pool_with_no_two_keys_of_one_name() -> None:
    with pytest.raises(GuardInputError, match="one name"):
        Guards().guard("github", policy=Policy(keys=(Key("a"), Key("a"))))


def test_without_a_fleet_the_limit_of_the_profile_holds_in_this_process(provider: Profile) -> None:
    call = Guards().guard(provider)(lambda: 1)
    began = time.monotonic()
    assert sum(call() for _ in range(15)) == 15
    assert time.monotonic() - began >= 0.15


def test_two_processes_keep_one_limit_between_them(provider: Profile, fleets: tuple[Fleet, Fleet]) -> None:
    first, second = (Guards(fleet).guard(provider)(lambda: 1) for fleet in fleets)
    began = time.monotonic()
    assert sum(first() + second() for _ in range(15)) == 30
    assert time.monotonic() - began >= 0.3  # 5 at once, and some of 0.25 s in leases, of 30 at 50 a second


def test_an_asynchronous_guard_takes_its_tokens_from_the_same_bucket(
    provider: Profile, fleets: tuple[Fleet, Fleet]
) -> None:
    guards = Guards(fleets[0])
    call = guards.guard(provider)(lambda: 1)

    async def answer() -> int:
        return 1

    async def twenty() -> int:
        guarded = guards.guard(provider, asynchronous=True)(answer)
        return sum(await asyncio.gather(*(guarded() for _ in range(20))))

    began = time.monotonic()
    assert sum(call() for _ in range(5)) + asyncio.run(twenty()) == 25
    assert time.monotonic() - began >= 0.2


def test_a_throttled_key_is_left_alone_by_the_whole_fleet_and_the_other_goes_on(
    provider: Profile, fleets: tuple[Fleet, Fleet]
) -> None:
    policy = Policy(keys=(Key("a"), Key("b")), retry=Retry(wait=lambda _: 0.0))
    used: list[str] = []

    def guarded(fleet: Fleet) -> object:
        guard = Guards(fleet).guard(provider, policy=policy)

        @guard.with_attempt
        def call(attempt: object) -> str:
            used.append(attempt.key.name)
            if attempt.key.name == "a":
                raise RateLimitError(60)
            return "answer"

        return guard, call

    (_, call), (other_guard, other) = (guarded(fleet) for fleet in fleets)
    while "a" not in used:
        assert call() == "answer"
    other()
    eventually(lambda: other_guard.snapshot().frozen_keys == ("a",))
    used.clear()
    assert [other() for _ in range(5)] == ["answer"] * 5
    assert used == ["b"] * 5
