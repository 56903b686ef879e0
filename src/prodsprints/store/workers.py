"""Who is alive: each worker's heartbeat, and the reaper that declares the silent ones dead."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from prodsprints.store import leases
from prodsprints.store.database import Connection, Database, one, patient
from prodsprints.store.errors import DatabaseUnavailableError

HEARTBEAT_SECONDS = 0.5
DEAD_AFTER_SECONDS = 3.0

_log = logging.getLogger(__name__)


class Heartbeat:
    """Keeps one worker alive in the eyes of the others, and reaps those that fell silent.

    A worker that learns that it was itself declared dead (it was stopped for a while, say) must not go on: its work
    has another owner now. `on_reaped` is called then, once, and is expected to end the process.
    """

    def __init__(self, db: Database, *, worker: str, node: str, on_reaped: Callable[[], None]) -> None:
        self._db = db
        self._worker = worker
        self._node = node
        self._on_reaped = on_reaped
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Register this worker and begin to beat; the first beat is done when this returns."""
        with self._db.dispatch() as connection:
            connection.execute("insert into workers (id, node) values (%s, %s)", [self._worker, self._node])
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and sign off, so that what this worker holds can be taken over at once."""
        self._stop.set()
        self._thread.join(timeout=5)
        with self._db.dispatch() as connection:
            connection.execute("update workers set reaped_at = now() where id = %s", [self._worker])
            connection.execute("update leases set expires_at = now() where owner = %s", [self._worker])

    def _run(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                if not self._beat():
                    _log.error("this worker was declared dead while it was silent; its work has another owner now")
                    self._on_reaped()
                    return
            except DatabaseUnavailableError as error:
                _log.warning("%s", error.what)

    def _beat(self) -> bool:
        with self._db.dispatch(durable=False) as connection:
            alive = connection.execute(
                "update workers set heartbeat_at = now() where id = %s and reaped_at is null", [self._worker]
            ).rowcount
            if alive:
                leases.renew_all(connection, self._worker)
                _reap(connection)
        return bool(alive)


@patient
def alive(db: Database) -> int:
    """How many workers are there and beating."""
    with db.dispatch() as connection:
        row = connection.execute(
            """
            select count(*) as alive from workers
            where reaped_at is null and heartbeat_at >= now() - make_interval(secs => %s)
            """,
            [DEAD_AFTER_SECONDS],
        ).fetchone()
    return int(one(row)["alive"])


def _reap(connection: Connection) -> None:
    """Declare the silent dead, by the database's clock only: the machines' clocks may differ."""
    reaped = connection.execute(
        """
        update workers set reaped_at = now()
        where reaped_at is null and heartbeat_at < now() - make_interval(secs => %s)
        returning id
        """,
        [DEAD_AFTER_SECONDS],
    ).fetchall()
    for row in reaped:
        _log.warning("worker %s is silent for %.1f s: its work is taken over", row["id"], DEAD_AFTER_SECONDS)
    connection.execute("delete from workers where reaped_at < now() - interval '1 day'")
