"""What is watched is seen: levels, days, outages, by one worker at a time, for each tenant its own."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from controls.integrations.support_service import Service, says, service
from prodsprints.controls.dns import names
from prodsprints.controls.integrations import parts, services, sightings, status_page
from prodsprints.controls.integrations.errors import (
    ForbiddenAddressError,
    NameTakenError,
    OwnPartError,
    ServiceInputError,
    TooManyServicesError,
    UnknownServiceError,
)
from prodsprints.controls.integrations.guards_seen import GuardsSeen
from prodsprints.controls.integrations.health import Level, Observation, Outcome
from prodsprints.controls.integrations.monitor import OWN_TENANT, RESOURCE, Monitor
from prodsprints.controls.integrations.probe import Look
from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.settings import Settings
from prodsprints.store import leases
from prodsprints.store.database import Database
from prodsprints.store.errors import DatabaseUnavailableError, FencedError
from prodsprints.store.leases import Lease
from support_waiting import eventually

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def declare(db: Database, tenant: UUID, name: str = "Shop", **options: Any) -> services.Service:
    said: dict[str, Any] = {
        "url": "https://shop.example.com/health", "expected_status": None, "interval_seconds": 30.0,
        "is_public": True, "inward": True, "resolve": lambda _: (), "id": uuid4(), "name": name,
    }  # fmt: skip
    return services.watch(db, tenant, **{**said, **options})


@pytest.fixture
def lease(database: Database, tenant: UUID) -> Lease:
    return taken(database, tenant, "w1")


def taken(db: Database, tenant: UUID, worker: str) -> Lease:
    with db.dispatch() as connection:
        connection.execute("update leases set expires_at = now() - interval '1 s' where tenant_id = %s", [tenant])
        lease = leases.acquire(connection, tenant, RESOURCE, worker)
    assert lease is not None
    return lease


def seen(
    db: Database,
    tenant: UUID,
    lease: Lease,
    service_id: UUID,
    *outcomes: Outcome,
    at: datetime = NOON,
    step: float = 10,
) -> None:
    told = [
        (
            service_id,
            Observation(at + timedelta(seconds=step * place), outcome, 0.1, "" if outcome is Outcome.WELL else "Bad."),
        )
        for place, outcome in enumerate(outcomes)
    ]
    sightings.record(db, tenant, lease, told)


def test_two_services_of_one_name_are_refused(database: Database, tenant: UUID) -> None:
    declare(database, tenant, "Shop")
    with pytest.raises(NameTakenError):
        declare(database, tenant, "  sHOP ")
    assert [one.name for one in services.services(database, tenant)] == ["Shop"]


@pytest.mark.parametrize("interval", [0, -1, 0.5, math.nan, math.inf, -math.inf, 3601])
def test_an_interval_that_is_none_is_refused(database: Database, tenant: UUID, interval: float) -> None:
    with pytest.raises(ServiceInputError, match="is not possible"):
        declare(database, tenant, interval_seconds=interval)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": "x" * 61}, {"name": "a\x1bb"}, {"expected_status": 99}, {"expected_status": 600},
        {"url": "file:///etc/passwd"}, {"url": "http://ada:b@shop.example.com"}, {"url": "http://169.254.169.254/"},
        {"resolve": lambda _: ("169.254.169.254",)}, {"url": "http://127.0.0.1/", "inward": False},
    ],
)  # fmt: skip
def test_a_service_that_cannot_be_meant_is_refused_and_not_kept(
    database: Database, tenant: UUID, wrong: dict[str, Any]
) -> None:
    with pytest.raises((UsageError, ForbiddenAddressError)) as caught:
        declare(database, tenant, **wrong)
    assert caught.value.next_step
    assert services.services(database, tenant) == []


def test_a_tenant_watches_so_many_and_no_more(
    database: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_SERVICES", 2)
    declare(database, tenant, "a")
    declare(database, tenant, "b")
    with pytest.raises(TooManyServicesError):
        declare(database, tenant, "c")


def test_another_tenant_neither_sees_nor_ends_a_service(database: Database, tenant: UUID) -> None:
    mine = declare(database, tenant)
    with database.dispatch() as connection:
        row = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"]
        ).fetchone()
    assert row is not None
    assert services.services(database, row["id"]) == []
    assert status_page.read(database, row["id"]).services == ()
    with pytest.raises(UnknownServiceError):
        services.unwatch(database, row["id"], mine.id)
    with pytest.raises(UnknownServiceError):
        services.show(database, row["id"], mine.id, publicly=False)
    assert declare(database, row["id"], mine.name).name == mine.name


def test_an_outage_is_kept_with_its_time_and_the_days_add_up(database: Database, tenant: UUID, lease: Lease) -> None:
    well, failed = Outcome.WELL, Outcome.FAILED
    shop = declare(database, tenant)
    seen(database, tenant, lease, shop.id, well, well, failed, failed, failed, well, well, well)
    with database.tenant(tenant) as connection:
        outages = connection.execute("select * from service_outages").fetchall()
        day = connection.execute("select * from service_days").fetchone()
        looks = connection.execute("select count(*) as n from service_looks").fetchone()
    assert [(one["level"], one["words"], one["detected_by"], one["end_is_known"]) for one in outages] == [
        ("down", "Bad.", "probe", True)
    ]
    assert outages[0]["began_at"] == NOON + timedelta(seconds=20)
    assert outages[0]["ended_at"] == NOON + timedelta(seconds=60)
    assert day is not None and looks is not None
    assert (day["up_seconds"], day["down_seconds"], looks["n"]) == (30.0, 40.0, 8)


def test_a_clock_that_goes_backwards_adds_no_time(database: Database, tenant: UUID, lease: Lease) -> None:
    shop = declare(database, tenant)
    for minutes in (0, -5, -60, -1):
        seen(database, tenant, lease, shop.id, Outcome.WELL, at=NOON + timedelta(minutes=minutes))
    seen(database, tenant, lease, shop.id, Outcome.WELL, at=NOON + timedelta(seconds=10))
    with database.tenant(tenant) as connection:
        day = connection.execute("select * from service_days").fetchone()
    assert day is not None and day["up_seconds"] == 10.0


def test_time_in_which_nobody_looked_is_in_no_sum(database: Database, tenant: UUID, lease: Lease) -> None:
    shop = declare(database, tenant)
    seen(database, tenant, lease, shop.id, Outcome.WELL, Outcome.WELL)
    seen(database, tenant, lease, shop.id, Outcome.WELL, Outcome.WELL, at=NOON + timedelta(hours=2))
    with database.tenant(tenant) as connection:
        day = connection.execute("select * from service_days").fetchone()
    assert day is not None and day["up_seconds"] == 20.0


def test_a_worker_whose_lease_is_another_ones_writes_nothing(database: Database, tenant: UUID, lease: Lease) -> None:
    shop = declare(database, tenant)
    taken(database, tenant, "w2")
    with pytest.raises(FencedError):
        seen(database, tenant, lease, shop.id, Outcome.WELL)
    with database.tenant(tenant) as connection:
        assert connection.execute("select from service_looks").fetchall() == []


def test_what_is_watched_no_longer_takes_its_history_along(database: Database, tenant: UUID, lease: Lease) -> None:
    shop = declare(database, tenant)
    seen(database, tenant, lease, shop.id, Outcome.WELL, Outcome.FAILED, Outcome.FAILED)
    services.unwatch(database, tenant, shop.id)
    seen(database, tenant, lease, shop.id, Outcome.WELL)
    with database.tenant(tenant) as connection:
        for table in ("watched_services", "service_looks", "service_days", "service_outages"):
            assert connection.execute(f"select from {table}".encode()).fetchall() == [], table


def test_looks_are_kept_for_a_day_and_days_as_long_as_they_are_shown(
    database: Database, tenant: UUID, lease: Lease
) -> None:
    shop = declare(database, tenant)
    for days in (120, 99, 2, 0):
        outcomes = (Outcome.WELL, Outcome.FAILED, Outcome.FAILED, Outcome.WELL, Outcome.WELL)
        seen(database, tenant, lease, shop.id, *outcomes, at=NOON - timedelta(days=days))
    sightings.forget(database, tenant, NOON + timedelta(minutes=5))
    with database.tenant(tenant) as connection:
        counts = [
            len(connection.execute(f"select from {table}".encode()).fetchall())
            for table in ("service_looks", "service_days", "service_outages")
        ]
    assert counts == [5, 3, 3]


def test_a_part_of_the_platform_cannot_be_unwatched_and_gets_no_name_twice(database: Database, tenant: UUID) -> None:
    declare(database, tenant, "Database")
    for _ in range(2):
        with database.tenant(tenant) as connection:
            services.know(connection, tenant, "platform", parts.NAMES)
    found = services.services(database, tenant)
    assert sorted(one.name for one in found) == [
        "Database", "Database as we see it", "Evidence log", "Node agent", "Workers",
    ]  # fmt: skip
    with pytest.raises(OwnPartError):
        services.unwatch(database, tenant, next(one.id for one in found if one.name == "Workers"))


def test_the_platforms_own_parts_are_looked_at_without_raising(database: Database, settings: Settings) -> None:
    looks = parts.looks(database, settings)
    assert looks.keys() == parts.NAMES.keys()
    assert looks["database"]().outcome is not Outcome.FAILED
    assert looks["node-agent"]().words == "It does not answer."
    for key in ("workers", "ledger"):
        assert looks[key]().seconds < 5


@contextmanager
def watching(db: Database, worker: str) -> Iterator[Monitor]:
    monitor = Monitor(db, worker, names=names.of_this_process(), own={}, guards=GuardsSeen(db))
    monitor.start()
    try:
        yield monitor
    finally:
        monitor.stop()


@pytest.fixture
def there() -> Iterator[Service]:
    with service() as it:
        yield it


@pytest.fixture
def own_tenant(database: Database, tenant: UUID) -> Iterator[UUID]:
    """The one whose services may lie on loopback."""
    with database.dispatch() as connection:
        row = (
            connection.execute("select id from tenants where name = %s", [OWN_TENANT]).fetchone()
            or connection.execute("insert into tenants (name) values (%s) returning id", [OWN_TENANT]).fetchone()
        )
    assert row is not None
    yield row["id"]
    for one in services.services(database, row["id"]):
        if one.kind == "declared":
            services.unwatch(database, row["id"], one.id)


def test_a_death_is_seen_within_one_interval_and_so_is_the_return(
    database: Database, own_tenant: UUID, there: Service
) -> None:
    shop = declare(database, own_tenant, f"Shop {uuid4()}", url=there.url, interval_seconds=2.0)

    def level() -> Level:
        page = status_page.read(database, own_tenant)
        return next(one.level for one in page.services if one.id == shop.id)

    with watching(database, "w1"):
        eventually(lambda: level() is Level.UP, every=0.05)
        there.answer, began = says(500), time.monotonic()
        eventually(lambda: level() is Level.DOWN, every=0.05)
        assert time.monotonic() - began < 4  # one interval of 2 s, on two shared cores
        there.answer = says(200)
        eventually(lambda: level() is Level.UP, every=0.05)
    outage = status_page.read(database, own_tenant).outages[0]
    assert (outage.service, outage.words, outage.end_is_known) == (
        shop.name, "It answered 500 in place of 2xx.", True,
    )  # fmt: skip
    eventually(lambda: level() is Level.UNKNOWN, every=0.2)


def test_of_two_workers_one_looks_and_the_other_takes_over(
    database: Database, own_tenant: UUID, there: Service
) -> None:
    declare(database, own_tenant, f"Shop {uuid4()}", url=there.url, interval_seconds=1.0)
    with watching(database, "w-second"):
        with watching(database, "w-first"):
            eventually(lambda: len(there.asked) >= 3, every=0.05)
            with database.dispatch() as connection:
                held = leases.holder(connection, own_tenant, RESOURCE)
            assert held is not None and held.owner in {"w-first", "w-second"}
        count = len(there.asked)
        eventually(lambda: len(there.asked) >= count + 3, every=0.05)


class Switch(Database):
    """A database that can be away."""

    away = False

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        if self.away:
            raise DatabaseUnavailableError("PostgreSQL does not answer.", next_step="")
        with super()._connection() as connection:
            yield connection


def test_an_outage_of_the_database_itself_is_known_once_it_is_back(
    database: Database, own_tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "INTERVAL_SECONDS", 1.0)
    with database.tenant(own_tenant) as connection:
        connection.execute("delete from watched_services where kind = 'platform'")
    db = Switch(database.address, max_connections=2)
    own = {"database": lambda: Look(Outcome.FAILED if db.away else Outcome.WELL, 0.01, "It does not answer.")}
    monitor = Monitor(db, "w-away", names=names.of_this_process(), own=own, guards=GuardsSeen(db))

    def part() -> services.Service:
        found = [one for one in services.services(database, own_tenant) if one.key == "platform:database"]
        return found[0]

    def outages() -> list[Any]:
        with database.tenant(own_tenant) as connection:
            return connection.execute(
                "select * from service_outages where service_id = %s and ended_at is not null", [part().id]
            ).fetchall()

    monitor.start()
    try:
        eventually(lambda: services.services(database, own_tenant) and part().standing.level is Level.UP, every=0.05)
        db.away = True
        left = datetime.now(UTC)
        time.sleep(1.5)  # so long is it away: there is nothing to wait for
        assert part().standing.trouble is None  # nobody could write it down
        db.away = False
        (outage,) = eventually(outages, every=0.1)
    finally:
        monitor.stop()
        db.close()
        with database.tenant(own_tenant) as connection:
            connection.execute("delete from watched_services where kind = 'platform'")
    assert outage["level"] == "down" and outage["detected_by"] == "platform"
    assert abs((outage["began_at"] - left).total_seconds()) < 1.5
    assert 0.5 < (outage["ended_at"] - outage["began_at"]).total_seconds() < 6
