"""What a running release records of itself: each write is one statement, under the lease or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.release.progress import StepStatus
from prodsprints.store.database import Database, one, patient
from prodsprints.store.errors import FencedError

_LONGEST_SUMMARY = 2_000


@dataclass(frozen=True)
class Held:
    """The lease under which a release runs."""

    tenant: UUID
    release: UUID
    resource: str
    worker: str
    fencing_token: int

    @property
    def values(self) -> tuple[UUID, UUID, str, str, int]:
        """The leading arguments of the database's functions."""
        return (self.tenant, self.release, self.resource, self.worker, self.fencing_token)


@patient
def begin(db: Database, held: Held, *, position: int, name: str, lines: Jsonb) -> bool:
    """Begin a step, and write `lines` to the live log; False when it has ended before. Raises FencedError."""
    row = db.once("select begin_step(%s, %s, %s, %s, %s, %s, %s, %s) as was", [*held.values, name, position, lines])
    return _was(held, one(row)) == "begun"


@patient
def end(
    db: Database, held: Held, *, name: str, status: StepStatus, summary: str, detail: dict[str, Any], lines: Jsonb
) -> None:
    """Record how a step ended, and write `lines` to the live log. Raises FencedError."""
    row = db.once(
        "select end_step(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) as was",
        [*held.values, name, status, summary[:_LONGEST_SUMMARY], Jsonb(detail), lines],
    )
    _was(held, one(row))


@patient
def say(db: Database, held: Held, lines: Jsonb) -> None:
    """Write `lines` to the live log. Raises FencedError."""
    _was(held, one(db.once("select add_lines(%s, %s, %s, %s, %s, %s) as was", [*held.values, lines])))


def _was(held: Held, row: dict[str, Any]) -> str:
    if row["was"] == "fenced":
        raise FencedError(
            f"Worker {held.worker} no longer holds the lease on {held.resource}.",
            why="Another worker took the release over, or the lease was broken by `prodsprints unlock --force`.",
            next_step="Nothing: the other worker carries on.",
        )
    return str(row["was"])
