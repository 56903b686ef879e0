"""The board in the database on which each process of the platform puts what its guards see, and from which all read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from prodsprints.controls.providers.dependencies.sighting import Sighting, as_json, from_json
from prodsprints.store.database import Database, patient

FRESH_SECONDS = 10.0
"""What is older was told by a process that is gone, or cannot reach the database."""
KEPT_SECONDS = 600.0

_MOST_ROWS = 5_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Posted:
    """What `worker` saw, `age_seconds` ago by the database's clock."""

    worker: str
    sighting: Sighting
    age_seconds: float

    @property
    def is_fresh(self) -> bool:
        return self.age_seconds <= FRESH_SECONDS


def post(db: Database, worker: str, seen: Sequence[Sighting]) -> None:
    """Put `seen` in the place of what `worker` posted before. May be lost in a crash of the database."""
    rows = [{"name": one.snapshot.name, "sighting": as_json(one)} for one in seen]
    with db.dispatch(durable=False) as connection:
        connection.execute(
            """
            insert into guard_sightings (worker, name, sighting)
            select %s, name, sighting from jsonb_to_recordset(%s) as row (name text, sighting jsonb)
            on conflict (worker, name) do update set sighting = excluded.sighting, at = excluded.at
            """,
            [worker, Jsonb(rows)],
        )


def take_down(db: Database, worker: str) -> None:
    """Remove what `worker` posted: it ends, and nobody should wait for news of it."""
    with db.dispatch(durable=False) as connection:
        connection.execute("delete from guard_sightings where worker = %s", [worker])


def sweep(db: Database) -> None:
    """Remove what nobody renewed for ten minutes."""
    with db.dispatch(durable=False) as connection:
        connection.execute(
            "delete from guard_sightings where at < clock_timestamp() - make_interval(secs => %s)", [KEPT_SECONDS]
        )


@patient
def read(db: Database) -> list[Posted]:
    """Everything on the board that is not to be swept, by name and worker; rows of other versions are passed over."""
    with db.dispatch() as connection:
        rows = connection.execute(
            """
            select worker, name, sighting, extract(epoch from clock_timestamp() - at)::float8 as age
            from guard_sightings where at >= clock_timestamp() - make_interval(secs => %s)
            order by name, worker limit %s
            """,
            [KEPT_SECONDS, _MOST_ROWS],
        ).fetchall()
    posted = []
    for row in rows:
        try:
            posted.append(Posted(row["worker"], from_json(row["name"], row["sighting"]), max(0.0, row["age"])))
        except ValueError as error:
            _log.debug("%s posted by %s", error, row["worker"])
    return posted
