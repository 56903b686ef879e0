"""What everybody is told of an incident: nothing until somebody publishes it, and then only the words they choose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from prodsprints.incidents import listing, typed
from prodsprints.incidents.errors import IncidentInputError, NotPublishedError
from prodsprints.kernel import clock
from prodsprints.kernel.redaction import Redactor
from prodsprints.ledger import people
from prodsprints.store.database import Connection, Database, patient

Stage = Literal["investigating", "identified", "monitoring", "resolved"]
STAGES: tuple[Stage, ...] = get_args(Stage)

LONGEST_WORDS = 2_000

_redactor = Redactor()


@dataclass(frozen=True)
class Update:
    """One thing that was told; by whom, is not."""

    id: UUID
    stage: Stage
    words: str
    at: datetime


@dataclass(frozen=True)
class Published:
    """An incident as everybody may read it: a title of its own, and the updates, the newest first."""

    id: UUID
    title: str
    published_at: datetime
    updates: tuple[Update, ...]

    @property
    def stage(self) -> Stage:
        """How far it is."""
        return self.updates[0].stage

    @property
    def is_open(self) -> bool:
        """Whether it is still going on."""
        return self.stage != "resolved"


def publish(
    db: Database,
    tenant_id: UUID,
    incident_id: UUID,
    *,
    id: UUID,
    stage: str,
    words: str,
    title: str | None,
    actor: str,
) -> Published:
    """Tell everybody of an incident, or tell them more. The first time it gets its `title`: its own, if None is given.

    Raises UnknownIncidentError, IncidentInputError, UsageError. `id` is the update's: told twice, it is told once.
    """
    if stage not in STAGES:
        raise IncidentInputError(f"{stage[:40]!r} is no stage.", next_step=f"Give one of {', '.join(STAGES)}.")
    words = _public(typed.paragraphs(words, "update", LONGEST_WORDS))
    incident = listing.get(db, tenant_id, incident_id)
    named = _public(typed.line(title, "title")) if title is not None else None
    person = people.reference(db, tenant_id, actor)
    with db.tenant(tenant_id) as connection:
        connection.execute(
            """
            insert into incident_publications as known (incident_id, title) values (%s, %s)
            on conflict (incident_id) do update set title = coalesce(%s, known.title), withdrawn_at = null
            """,
            [incident_id, named or _public(incident.title), named],
        )
        connection.execute(
            """
            insert into incident_updates (id, incident_id, stage, words, person, created_at)
            values (%s, %s, %s, %s, %s, %s) on conflict (id) do nothing
            """,
            [id, incident_id, stage, words, person, clock.now()],
        )
        return _read(connection, None, 1, incident_id)[0]


def withdraw(db: Database, tenant_id: UUID, incident_id: UUID) -> None:
    """Tell nothing of it any more. Raises NotPublishedError. What was told is kept, and back with the next update."""
    with db.tenant(tenant_id) as connection:
        done = connection.execute(
            "update incident_publications set withdrawn_at = now() where incident_id = %s and withdrawn_at is null",
            [incident_id],
        )
    if not done.rowcount:
        raise NotPublishedError(
            f"Nothing is published of the incident {incident_id}.",
            next_step="The status page shows what is; `prodsprints status publish` puts an incident there.",
        )


@patient
def published(db: Database, tenant_id: UUID, *, since: datetime, most: int = 50) -> list[Published]:
    """What everybody may read of incidents that were told of since then, and of all that are open; the newest first."""
    with db.tenant(tenant_id) as connection:
        return _read(connection, since, most)


@patient
def told(db: Database, tenant_id: UUID, incident_id: UUID) -> Published | None:
    """What everybody may read of one incident, if anything."""
    with db.tenant(tenant_id) as connection:
        return next(iter(_read(connection, None, 1, incident_id)), None)


def _read(
    connection: Connection, since: datetime | None, most: int, incident_id: UUID | None = None
) -> list[Published]:
    rows = connection.execute(
        """
        select p.incident_id, p.title, p.published_at, u.id, u.stage, u.words, u.created_at from (
          select p.*, newest.stage, newest.created_at as told_at from incident_publications p
          join lateral (select stage, created_at from incident_updates u where u.incident_id = p.incident_id
                        order by created_at desc, id desc limit 1) newest on true
          where p.withdrawn_at is null and (%(incident)s::uuid is null or p.incident_id = %(incident)s)
            and (%(since)s::timestamptz is null or newest.created_at >= %(since)s or newest.stage <> 'resolved')
          order by newest.created_at desc limit %(most)s
        ) p join incident_updates u on u.incident_id = p.incident_id
        order by p.told_at desc, p.incident_id, u.created_at desc, u.id desc
        """,
        {"since": since, "most": most, "incident": incident_id},
    ).fetchall()
    found: dict[UUID, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["incident_id"], []).append(row)
    return [
        Published(
            id,
            every[0]["title"],
            every[0]["published_at"],
            tuple(Update(row["id"], row["stage"], row["words"], row["created_at"]) for row in every),
        )
        for id, every in found.items()
    ]


def _public(words: str) -> str:
    if _redactor.text(words) != words:
        raise IncidentInputError(
            "The words hold what looks like a secret, and everybody would read them.",
            next_step="Leave it out.",
        )
    return words
