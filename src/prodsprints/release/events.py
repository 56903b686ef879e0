"""The live log of a release: written by the one worker that runs it, in order, redacted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.kernel.clock import iso, now
from prodsprints.kernel.redaction import Redactor
from prodsprints.release import steps
from prodsprints.release.records import Release
from prodsprints.release.steps import Held
from prodsprints.store.database import Database, one, patient

_LONGEST_LINE = 4_000


class EventLog:
    """The one writer of a release's live log: redacts, numbers, and keeps the order.

    Lines are collected and written together, which costs as much as writing one.
    """

    def __init__(self, db: Database, release: Release, redactor: Redactor) -> None:
        self._db = db
        self._redactor = redactor
        self._next = _last_seq(db, release.tenant_id, release.id) + 1
        self._waiting: list[dict[str, Any]] = []

    def add(self, step: str, kind: str, message: str, **data: Any) -> None:
        """Append one event; it is visible to readers after the next `flush`."""
        self._waiting.append(
            {
                "seq": self._next,
                "at": iso(now()),
                "step": step,
                "kind": kind,
                "message": self._redactor.text(message.replace("\x00", "�"))[:_LONGEST_LINE],
                "data": self._redactor.value(data),
            }
        )
        self._next += 1

    def adding(self, step: str, kind: str, message: str, **data: Any) -> Jsonb:
        """`add`, and all that waits, for a statement that has more to write; call `written` when it has succeeded."""
        self.add(step, kind, message, **data)
        return Jsonb(list(self._waiting))

    def written(self) -> None:
        """What was waiting is written."""
        self._waiting.clear()

    def flush(self, held: Held) -> None:
        """Write what is waiting. Raises FencedError when the lease that the release ran under has another owner."""
        if self._waiting:
            steps.say(self._db, held, Jsonb(list(self._waiting)))
            self.written()


@patient
def _last_seq(db: Database, tenant_id: UUID, release_id: UUID) -> int:
    with db.tenant(tenant_id) as connection:
        row = connection.execute(
            "select coalesce(max(seq), 0) as seq from release_events where release_id = %s", [release_id]
        ).fetchone()
    return int(one(row)["seq"])
