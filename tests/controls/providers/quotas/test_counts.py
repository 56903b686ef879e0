"""What guards count is the use of a published limit: of the right account, by the busiest minute, for the operator."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from prodsprints.controls.providers.dependencies import board
from prodsprints.controls.providers.dependencies.recorder import Recorder
from prodsprints.controls.providers.quotas import book, counts
from prodsprints.controls.providers.quotas.keeper import QuotaKeeper
from prodsprints.controls.providers.quotas.model import Kind, Place, Source
from prodsprints.guard import Guard
from prodsprints.kernel import clock
from prodsprints.store.database import Database

ACCOUNT = "123456789012"
CALLS = Place("aws-sts", ACCOUNT, "", "", "calls")


@pytest.fixture
def operator(database: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """The tenant of the test, as the one that runs the platform."""
    with database.tenant(tenant) as connection:
        row = connection.execute("select name from tenants").fetchone()
    monkeypatch.setattr(counts, "OWN_TENANT", row["name"])
    return tenant


def called(database: Database, name: str, calls: int, *, spread_seconds: float = 1.0) -> None:
    """A worker whose guard of that name saw so many calls within the last minutes."""
    guard, recorder = Guard(name), Recorder()
    ask = guard(lambda: None)
    ask()
    recorder.look([guard.snapshot()], 0.0)
    for number in range(calls):
        ask()
        seen = recorder.look([guard.snapshot()], 5.0 + number * spread_seconds)
    board.post(database, f"w-{uuid4().hex}", seen)


def test_calls_of_all_workers_for_the_account_are_added_up(database: Database, operator: UUID) -> None:
    account = uuid4().hex
    for _ in range(2):
        called(database, f"aws-sts/{account} eu-central-1", 30)
    called(database, f"aws-sts/{account}0 eu-central-1", 30)
    called(database, f"aws-iam/{account} eu-central-1", 30)
    here = Place("aws-sts", account, "", "", "calls")
    found = counts.calls_per_second(database, operator, here)
    assert found is not None and 0.4 < found <= 1.01  # of a machine that is so busy that it falls into two minutes
    there = Place("aws-sts", account, "us-east-1", "", "calls")
    assert counts.calls_per_second(database, operator, there) is None


def test_it_is_the_busiest_minute_and_no_moment(database: Database, operator: UUID) -> None:
    account = uuid4().hex
    called(database, f"aws-sts/{account}", 60, spread_seconds=0.0)  # all at once
    found = counts.calls_per_second(database, operator, Place("aws-sts", account, "", "", "calls"))
    assert found == pytest.approx(1.0, abs=0.1)


def test_who_does_not_run_the_platform_is_told_nothing(database: Database, tenant: UUID) -> None:
    account = uuid4().hex
    called(database, f"aws-sts/{account}", 10)
    assert counts.calls_per_second(database, tenant, Place("aws-sts", account, "", "", "calls")) is None


def test_a_keeper_measures_a_published_limit_by_them(database: Database, tenant: UUID) -> None:
    quota = book.follow(database, tenant, CALLS, id=uuid4(), source=Source.PUBLISHED, kind=Kind.RATE, limit=600.0)
    asked = []

    def counted(tenant_id: UUID, place: Place) -> float:
        asked.append((tenant_id, place))
        return 12.5

    review = QuotaKeeper(database, {}, counts=counted).review(tenant, quota.id)
    assert asked == [(tenant, CALLS)]
    assert review.forecast is not None and review.forecast.used == 12.5
    silent = QuotaKeeper(database, {}, counts=lambda _tenant, _place: None).review(tenant, quota.id)
    assert silent.forecast is not None and silent.forecast.used == 12.5
    assert silent.quota.measured_at is not None and silent.quota.measured_at <= clock.now()
