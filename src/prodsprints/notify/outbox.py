"""The outbox: what is to be told is put here by the transaction that records it, and read here by people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID, uuid4

from prodsprints.kernel.clock import iso
from prodsprints.notify.errors import NotDeadError, UnknownNotificationError
from prodsprints.notify.message import Message, Severity
from prodsprints.store.database import Connection, Database, one, patient

State = Literal["waiting", "delivered", "dead"]
STATES: tuple[State, ...] = get_args(State)
Outcome = Literal["delivered", "failed", "refused", "skipped"]
Position = tuple[datetime, UUID]

WINDOW = timedelta(minutes=10)
"""For how long the same dedupe key is the same notification."""


def put(
    connection: Connection, message: Message, *, requested_by: str, id: UUID | None = None, window: timedelta = WINDOW
) -> UUID:
    """Add `message` in the caller's own transaction, which acts for a tenant: it is told exactly if that commits.

    Returns its id, or that of the notification which has the same dedupe key and is younger than `window`. Under an
    `id` that is there already nothing is added. Messages to one audience are told in the order in which they were put;
    of two transactions that are open at the same time, neither is first.
    """
    if message.dedupe_key is not None:
        # Two at the same time: the second waits here, and then sees what the first one put.
        connection.execute(
            "select pg_advisory_xact_lock(hashtextextended('prodsprints notify ' || current_tenant() || %s, 0))",
            [message.dedupe_key],
        )
        known = connection.execute(
            """
            select id from notifications where dedupe_key = %s and created_at > clock_timestamp() - %s
            order by created_at desc limit 1
            """,
            [message.dedupe_key, window],
        ).fetchone()
        if known is not None:
            return UUID(str(known["id"]))
    new = id or uuid4()
    connection.execute(
        """
        insert into notifications (id, audience, severity, subject, body, dedupe_key, requested_by)
        values (%s, %s, %s, %s, %s, %s, %s) on conflict (id) do nothing
        """,
        [
            new,
            message.audience,
            message.severity,
            message.subject,
            message.body,
            message.dedupe_key,
            requested_by[:200],
        ],
    )
    return new


@dataclass(frozen=True)
class Attempt:
    """One channel asked once to take a notification, and what came of it, in words without secrets."""

    channel: str
    outcome: Outcome
    words: str
    seconds: float
    at: datetime

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "channel": self.channel,
            "outcome": self.outcome,
            "words": self.words,
            "seconds": round(self.seconds, 3),
            "at": iso(self.at),
        }


@dataclass(frozen=True)
class Notification:
    """A message that was put, and where it stands. `rounds`: how often all of its audience's channels were tried."""

    id: UUID
    audience: str
    severity: Severity
    subject: str
    body: str
    dedupe_key: str | None
    requested_by: str
    state: State
    rounds: int
    due_at: datetime | None
    reason: str
    delivered_by: str | None
    created_at: datetime
    ended_at: datetime | None

    @property
    def position(self) -> Position:
        """Where it stands in a listing."""
        return self.created_at, self.id

    @property
    def took_seconds(self) -> float | None:
        """From being put to being taken by a channel, by the database's clock; which may have been set back."""
        if self.state != "delivered" or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.created_at).total_seconds())

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        took = self.took_seconds
        return {
            "id": str(self.id),
            "audience": self.audience,
            "severity": self.severity,
            "subject": self.subject,
            "body": self.body,
            "dedupe_key": self.dedupe_key,
            "requested_by": self.requested_by,
            "state": self.state,
            "rounds": self.rounds,
            "next_try_at": None if self.due_at is None else iso(self.due_at),
            "reason": self.reason,
            "delivered_by": self.delivered_by,
            "delivered_after_seconds": None if took is None else round(took, 3),
            "created_at": iso(self.created_at),
            "ended_at": None if self.ended_at is None else iso(self.ended_at),
        }


_NOTIFICATION = """
select id, audience, severity, subject, body, dedupe_key, requested_by, state, rounds, due_at, reason, delivered_by,
       created_at, ended_at
from notifications
"""


@patient
def add(
    db: Database, tenant_id: UUID, message: Message, *, requested_by: str, id: UUID, window: timedelta = WINDOW
) -> Notification:
    """Put `message` in a transaction of its own; repeating it under its `id` changes nothing."""
    with db.tenant(tenant_id) as connection:
        known = put(connection, message, requested_by=requested_by, id=id, window=window)
        row = connection.execute(_NOTIFICATION + "where id = %s", [known]).fetchone()
    return Notification(**one(row))


@patient
def notifications(
    db: Database,
    tenant_id: UUID,
    *,
    state: State | None = None,
    audience: str | None = None,
    before: Position | None = None,
    limit: int = 50,
) -> list[Notification]:
    """The newest first; `before` continues a listing after the one at that position."""
    moment, id = before or (None, None)
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            _NOTIFICATION
            + """
            where (%(state)s::text is null or state = %(state)s)
              and (%(audience)s::text is null or audience = %(audience)s)
              and (%(moment)s::timestamptz is null or (created_at, id) < (%(moment)s, %(id)s))
            order by created_at desc, id desc limit %(limit)s
            """,
            {"state": state, "audience": audience, "moment": moment, "id": id, "limit": limit},
        ).fetchall()
    return [Notification(**row) for row in rows]


@patient
def get(db: Database, tenant_id: UUID, id: UUID) -> Notification:
    """One notification. Raises UnknownNotificationError."""
    with db.tenant(tenant_id) as connection:
        row = connection.execute(_NOTIFICATION + "where id = %s", [id]).fetchone()
    if row is None:
        raise UnknownNotificationError(
            f"There is no notification {id}.", next_step="`prodsprints notify list` shows the newest."
        )
    return Notification(**row)


@patient
def attempts(db: Database, tenant_id: UUID, id: UUID) -> list[Attempt]:
    """What was tried for a notification, in order."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            "select channel, outcome, words, seconds, at from notification_attempts"
            " where notification_id = %s order by number",
            [id],
        ).fetchall()
    return [Attempt(**row) for row in rows]


@patient
def counts(db: Database, tenant_id: UUID) -> dict[State, int]:
    """How many wait, and how many nothing delivered."""
    with db.tenant(tenant_id) as connection:
        row = connection.execute(
            "select (select count(*) from notifications where state = 'waiting') as waiting,"
            " (select count(*) from notifications where state = 'dead') as dead"
        ).fetchone()
    return {"waiting": int(one(row)["waiting"]), "dead": int(one(row)["dead"])}


@patient
def send_again(db: Database, tenant_id: UUID, id: UUID) -> Notification:
    """Let a notification that nothing delivered wait again, with all its channels; it is the first of its audience.

    Raises UnknownNotificationError, NotDeadError.
    """
    with db.tenant(tenant_id) as connection:
        row = connection.execute(
            """
            update notifications set state = 'waiting', ended_at = null, rounds = 0, refused = '{}', due_at = null,
              reason = '' where id = %s and state = 'dead' returning id
            """,
            [id],
        ).fetchone()
    found = get(db, tenant_id, id)
    if row is None:
        raise NotDeadError(
            f"The notification {id} is {found.state}.",
            next_step="Only what nothing delivered is sent again; put a new one to tell something twice.",
        )
    return found
