"""The live log of a release: written by the one worker that runs it, in order, redacted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.kernel.redaction import Redactor
from prodsprints.release.records import Release
from prodsprints.store.database import Connection, Database, one, patient


class EventLog:
    """The one writer of a release's live log: redacts, numbers, and keeps the order.

    Lines are collected and written in one transaction per `flush`, which costs as much as writing one.
    """

    def __init__(self, db: Database, release: Release, redactor: Redactor) -> None:
        self._db = db
        self._release = release
        self._redactor = redactor
        self._next = _last_seq(db, release.tenant_id, release.id) + 1
        self._waiting: list[tuple[int, str, str, str, dict[str, Any]]] = []

    def add(self, step: str, kind: str, message: str, **data: Any) -> None:
        """Append one event; it is visible to readers after the next `flush`."""
        line = self._redactor.text(message.replace("\x00", "�"))[:4000]
        self._waiting.append((self._next, step, kind, line, self._redactor.value(data)))
        self._next += 1

    def flush(self) -> None:
        """Write what is waiting."""
        if self._waiting:
            _write_events(self._db, self._release.tenant_id, self._release.id, tuple(self._waiting))
            self._waiting.clear()


@patient
def _last_seq(db: Database, tenant_id: UUID, release_id: UUID) -> int:
    with db.tenant(tenant_id) as connection:
        row = connection.execute(
            "select coalesce(max(seq), 0) as seq from release_events where release_id = %s", [release_id]
        ).fetchone()
    return int(one(row)["seq"])


@patient
def _write_events(
    db: Database, tenant_id: UUID, release_id: UUID, lines: Sequence[tuple[int, str, str, str, dict[str, Any]]]
) -> None:
    with db.tenant(tenant_id) as connection:
        insert_events(connection, release_id, lines)


def insert_events(
    connection: Connection, release_id: UUID, lines: Sequence[tuple[int, str, str, str, dict[str, Any]]]
) -> None:
    """Insert numbered events; what is there already stays (a lost answer to COMMIT is followed by a second try)."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into release_events (release_id, seq, step, kind, message, data) values (%s, %s, %s, %s, %s, %s)
            on conflict do nothing
            """,
            [(release_id, seq, step, kind, message, Jsonb(data)) for seq, step, kind, message, data in lines],
        )
