"""What a dispatcher asks of the database: which lanes are due, what waits in one, and how a round is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.notify.message import Letter
from prodsprints.notify.outbox import State
from prodsprints.notify.rounds import Tried
from prodsprints.store import leases
from prodsprints.store.database import Database, one


@dataclass(frozen=True)
class Lane:
    """One tenant's audience; what waits in it is told in order."""

    tenant_id: UUID
    audience: str

    @property
    def resource(self) -> str:
        """What its holder has a lease on."""
        return f"notify:{self.audience}"


@dataclass(frozen=True)
class Waiting:
    """The letter that is told next, after how many rounds without success, and who refused it."""

    letter: Letter
    rounds: int
    refused: tuple[str, ...]


def due(db: Database, owner: str) -> list[Lane]:
    """The lanes that have something to send now, and nobody else at it. Across tenants: no word of any message."""
    with db.dispatch() as connection:
        rows = connection.execute("select tenant, lane from notification_lanes_due(%s)", [owner]).fetchall()
    return [Lane(row["tenant"], row["lane"]) for row in rows]


def take(db: Database, lane: Lane, owner: str) -> int | None:
    """The lane's fencing token, or None while somebody else holds it."""
    with db.dispatch() as connection:
        # Written before the clock went back, by an owner that is gone: a living one writes it anew twice a second.
        connection.execute(
            "delete from leases where tenant_id = %s and resource = %s and expires_at > now() + interval '1 minute'",
            [lane.tenant_id, lane.resource],
        )
        lease = leases.acquire(connection, lane.tenant_id, lane.resource, owner)
    return None if lease is None else lease.fencing_token


def let_go(db: Database, lane: Lane, owner: str, token: int) -> None:
    """Give the lane back; were that lost, its lease would end by itself."""
    with db.dispatch(durable=False) as connection:
        leases.release(connection, lane.tenant_id, lane.resource, owner, token)


def waiting(db: Database, lane: Lane, *, limit: int) -> list[Waiting]:
    """What is told next in this lane, in order; empty while the first of them waits for its next round."""
    with db.tenant(lane.tenant_id) as connection:
        rows = connection.execute(
            """
            select id, audience, severity, subject, body, created_at, rounds, refused,
                   due_at is null or due_at <= now() or due_at > now() + interval '1 hour' as due
            from notifications where state = 'waiting' and audience = %s order by seq limit %s
            """,
            [lane.audience, limit],
        ).fetchall()
    found: list[Waiting] = []
    for row in rows:
        if not row.pop("due"):
            break
        rounds, refused = row.pop("rounds"), tuple(row.pop("refused"))
        found.append(Waiting(Letter(**row), rounds, refused))
    return found


def settle(
    db: Database,
    lane: Lane,
    id: UUID,
    tried: Sequence[Tried],
    *,
    owner: str,
    token: int,
    state: State,
    delivered_by: str | None,
    reason: str,
    next_seconds: float,
    refused: Sequence[str],
) -> bool:
    """Record what a round came to, on disk; False, and nothing is recorded, if the lane has another holder by now."""
    row = db.once(
        "select settle_notification(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) as came",
        [
            lane.tenant_id,
            id,
            lane.audience,
            owner,
            token,
            state,
            delivered_by,
            reason[:500],
            next_seconds,
            list(refused),
            Jsonb([one.as_json() for one in tried]),
        ],
    )
    return bool(one(row)["came"] == "settled")
