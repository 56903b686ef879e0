"""Leases: one holder at a time, and a token that only grows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from prodsprints.store import leases
from prodsprints.store.database import Database
from prodsprints.store.leases import Lease


def acquire(database: Database, tenant: UUID, owner: str) -> Lease | None:
    with database.tenant(tenant) as connection:
        return leases.acquire(connection, tenant, "environment:1", owner)


def expire(database: Database, tenant: UUID) -> None:
    with database.tenant(tenant) as connection:
        connection.execute("update leases set expires_at = now() - interval '1 s'")


def test_a_held_lease_is_refused_to_others(database: Database, tenant: UUID) -> None:
    assert acquire(database, tenant, "a") is not None
    assert acquire(database, tenant, "b") is None


def test_the_owner_keeps_its_token_when_it_asks_again(database: Database, tenant: UUID) -> None:
    first, again = acquire(database, tenant, "a"), acquire(database, tenant, "a")
    assert first is not None
    assert again is not None
    assert again.fencing_token == first.fencing_token


def test_taking_over_an_expired_lease_raises_the_token(database: Database, tenant: UUID) -> None:
    first = acquire(database, tenant, "a")
    expire(database, tenant)
    second = acquire(database, tenant, "b")
    assert first is not None
    assert second is not None
    assert second.fencing_token > first.fencing_token


def test_only_the_owner_with_its_own_token_can_release(database: Database, tenant: UUID) -> None:
    first = acquire(database, tenant, "a")
    expire(database, tenant)
    second = acquire(database, tenant, "b")
    assert first is not None
    assert second is not None
    with database.tenant(tenant) as connection:
        assert not leases.release(connection, tenant, first.resource, "a", first.fencing_token)
        assert not leases.release(connection, tenant, first.resource, "b", first.fencing_token)
        assert leases.release(connection, tenant, first.resource, "b", second.fencing_token)


def test_a_released_lease_does_not_reuse_its_token(database: Database, tenant: UUID) -> None:
    first = acquire(database, tenant, "a")
    assert first is not None
    with database.tenant(tenant) as connection:
        leases.release(connection, tenant, first.resource, "a", first.fencing_token)
    second = acquire(database, tenant, "a")
    assert second is not None
    assert second.fencing_token > first.fencing_token


def test_of_many_that_ask_at_once_exactly_one_gets_it(database: Database, tenant: UUID) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: acquire(database, tenant, f"worker-{n}"), range(32)))
    assert sum(lease is not None for lease in taken) == 1


def test_a_heartbeat_renews_everything_its_worker_holds(database: Database, tenant: UUID) -> None:
    acquire(database, tenant, "a")
    expire(database, tenant)
    with database.dispatch() as connection:
        leases.renew_all(connection, "a")
    assert acquire(database, tenant, "b") is None
