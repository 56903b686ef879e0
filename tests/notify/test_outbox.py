"""The outbox: told exactly if the transaction commits, once per key, in order, and to nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from prodsprints.notify import lanes, outbox
from prodsprints.notify.errors import NotDeadError, UnknownNotificationError
from prodsprints.notify.lanes import Lane
from prodsprints.notify.message import Message
from prodsprints.store.database import Database

HELLO = Message.of("#ops", "hello")


@pytest.fixture
def other_tenant(database: Database) -> UUID:
    with database.dispatch() as connection:
        row = connection.execute("insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"])
        return row.fetchone()["id"]


def test_what_a_transaction_says_is_there_exactly_if_it_commits(database: Database, tenant: UUID) -> None:
    with pytest.raises(ZeroDivisionError), database.tenant(tenant) as connection:
        outbox.put(connection, HELLO, requested_by="test")
        raise ZeroDivisionError
    assert outbox.notifications(database, tenant) == []
    with database.tenant(tenant) as connection:
        id = outbox.put(connection, HELLO, requested_by="test")
        assert Lane(tenant, "#ops") not in lanes.due(database, "nobody")
    assert [one.id for one in outbox.notifications(database, tenant)] == [id]
    assert Lane(tenant, "#ops") in lanes.due(database, "nobody")


def test_the_same_key_within_its_window_is_one_notification(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    keyed = Message.of("#ops", "hello", dedupe_key="disk full")

    def put(_: int) -> UUID:
        with database.tenant(tenant) as connection:
            return outbox.put(connection, keyed, requested_by="test")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(put, range(8)))) == 1
    with database.tenant(other_tenant) as connection:
        assert outbox.put(connection, keyed, requested_by="test") != put(0)
    with database.tenant(tenant) as connection:
        later = outbox.put(connection, keyed, requested_by="test", window=timedelta(0))
    assert later != put(0) or len(outbox.notifications(database, tenant)) == 2


def test_under_the_same_id_nothing_is_added(database: Database, tenant: UUID) -> None:
    id = uuid4()
    for _ in range(2):
        assert outbox.add(database, tenant, HELLO, requested_by="test", id=id).id == id
    assert len(outbox.notifications(database, tenant)) == 1


def test_the_database_refuses_a_subject_of_two_lines(database: Database, tenant: UUID) -> None:
    with pytest.raises(psycopg.errors.CheckViolation), database.tenant(tenant) as connection:
        connection.execute(
            "insert into notifications (id, audience, severity, subject, body, requested_by)"
            " values (%s, '#ops', 'info', %s, '', 'test')",
            [uuid4(), "a\r\nBcc: x@y.z"],
        )


def test_dispatchers_see_lanes_and_no_word(database: Database, tenant: UUID) -> None:
    outbox.add(database, tenant, HELLO, requested_by="test", id=uuid4())
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.dispatch() as connection:
        connection.execute("select subject from notifications")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.dispatch() as connection:
        connection.execute("select * from notification_attempts")


def test_another_tenants_notifications_are_not_there(database: Database, tenant: UUID, other_tenant: UUID) -> None:
    id = outbox.add(database, tenant, HELLO, requested_by="test", id=uuid4()).id
    assert outbox.notifications(database, other_tenant) == []
    for ask in (outbox.get, outbox.send_again):
        with pytest.raises(UnknownNotificationError):
            ask(database, other_tenant, id)


def test_a_lane_has_one_holder_and_a_late_one_settles_nothing(database: Database, tenant: UUID) -> None:
    id = outbox.add(database, tenant, HELLO, requested_by="test", id=uuid4()).id
    lane = Lane(tenant, "#ops")
    first = lanes.take(database, lane, "first")
    assert first is not None and lanes.take(database, lane, "second") is None
    assert lane not in lanes.due(database, "nobody")
    with database.dispatch() as connection:
        connection.execute("update leases set expires_at = now() - interval '1 s' where tenant_id = %s", [tenant])
    second = lanes.take(database, lane, "second")
    assert second is not None and second > first

    def settle(owner: str, token: int) -> bool:
        return lanes.settle(
            database, lane, id, (), owner=owner, token=token, state="delivered", delivered_by="page", reason="",
            next_seconds=0.0, refused=(),
        )  # fmt: skip

    assert not settle("first", first)
    assert outbox.get(database, tenant, id).state == "waiting"
    assert settle("second", second) and outbox.get(database, tenant, id).state == "delivered"


def test_a_clock_that_went_back_makes_nothing_wait_for_hours(database: Database, tenant: UUID) -> None:
    id = outbox.add(database, tenant, HELLO, requested_by="test", id=uuid4()).id
    lane = Lane(tenant, "#ops")

    def due_in(interval: str) -> bool:
        with database.tenant(tenant) as connection:
            connection.execute("update notifications set due_at = now() + %s::interval where id = %s", [interval, id])
        assert bool(lanes.waiting(database, lane, limit=1)) is (lane in lanes.due(database, "nobody"))
        return lane in lanes.due(database, "nobody")

    assert [due_in(one) for one in ("-1 s", "15 min", "3 h")] == [True, False, True]
    dead = lanes.take(database, lane, "dead")
    with database.dispatch() as connection:
        connection.execute("update leases set expires_at = now() + interval '3 h' where tenant_id = %s", [tenant])
    assert lane in lanes.due(database, "nobody")
    living = lanes.take(database, lane, "living")
    assert dead is not None and living is not None and living > dead


def test_only_what_is_dead_is_sent_again(database: Database, tenant: UUID) -> None:
    id = outbox.add(database, tenant, HELLO, requested_by="test", id=uuid4()).id
    with pytest.raises(NotDeadError):
        outbox.send_again(database, tenant, id)
    with database.tenant(tenant) as connection:
        connection.execute(
            "update notifications set state = 'dead', ended_at = now(), refused = '{a}' where id = %s", [id]
        )
    assert outbox.counts(database, tenant) == {"waiting": 0, "dead": 1}
    assert outbox.send_again(database, tenant, id).state == "waiting"
    assert [one.refused for one in lanes.waiting(database, Lane(tenant, "#ops"), limit=1)] == [()]
