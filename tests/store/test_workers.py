"""Heartbeats: the silent are declared dead by the database's clock, and learn of it themselves."""

from __future__ import annotations

import threading
import uuid

from prodsprints.store.database import Database
from prodsprints.store.workers import DEAD_AFTER_SECONDS, Heartbeat
from support_waiting import eventually


def start(database: Database, name: str, reaped: threading.Event) -> Heartbeat:
    heartbeat = Heartbeat(database, worker=name, node="n", on_reaped=reaped.set)
    heartbeat.start()
    return heartbeat


def is_dead(database: Database, name: str) -> bool:
    with database.dispatch() as connection:
        row = connection.execute("select reaped_at from workers where id = %s", [name]).fetchone()
    return row is not None and row["reaped_at"] is not None


def test_a_silent_worker_is_declared_dead_and_its_lease_can_be_taken(database: Database) -> None:
    silent, living = f"silent-{uuid.uuid4()}", f"living-{uuid.uuid4()}"
    with database.dispatch() as connection:
        connection.execute(
            "insert into workers (id, node, heartbeat_at) values (%s, 'n', now() - make_interval(secs => %s))",
            [silent, DEAD_AFTER_SECONDS + 0.1],
        )
    heartbeat = start(database, living, threading.Event())
    try:
        eventually(lambda: is_dead(database, silent), seconds=5)
        assert not is_dead(database, living)
    finally:
        heartbeat.stop()


def test_a_worker_that_was_declared_dead_is_told_so(database: Database) -> None:
    name, reaped = f"paused-{uuid.uuid4()}", threading.Event()
    heartbeat = start(database, name, reaped)
    try:
        with database.dispatch() as connection:
            connection.execute("update workers set reaped_at = now() where id = %s", [name])
        assert reaped.wait(5), "a reaped worker went on"
    finally:
        heartbeat.stop()


def test_a_worker_that_signs_off_is_dead_at_once(database: Database) -> None:
    name = f"leaving-{uuid.uuid4()}"
    start(database, name, threading.Event()).stop()
    assert is_dead(database, name)
