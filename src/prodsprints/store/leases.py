"""Leases: a lock with an owner that must stay alive, and a fencing token that only ever grows.

Source of the idea: M. Kleppmann, "How to do distributed locking" (2016): the holder of a lease can be paused past its
end, so whatever it writes must carry a token by which the target can refuse the late one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prodsprints.store.database import Connection

TTL_SECONDS = 3.0


@dataclass(frozen=True)
class Lease:
    """Who holds `resource`: `fencing_token` grows with each change of hands; ends at `expires_at` unless renewed."""

    resource: str
    owner: str
    fencing_token: int
    expires_at: datetime


def acquire(connection: Connection, tenant_id: UUID, resource: str, owner: str) -> Lease | None:
    """Take a free, expired or already owned lease; None when somebody else holds it.

    An owner that asks again keeps its token, so that a repeated step stays the same holder.
    """
    row = connection.execute(
        """
        insert into leases as held (tenant_id, resource, owner, expires_at)
        values (%(tenant)s, %(resource)s, %(owner)s, now() + make_interval(secs => %(ttl)s))
        on conflict (tenant_id, resource) do update set
          owner = excluded.owner,
          expires_at = excluded.expires_at,
          fencing_token = case when held.owner = excluded.owner then held.fencing_token else excluded.fencing_token end,
          acquired_at = case when held.owner = excluded.owner then held.acquired_at else now() end
        where held.owner = excluded.owner or held.expires_at < now()
        returning resource, owner, fencing_token, expires_at
        """,
        {"tenant": tenant_id, "resource": resource, "owner": owner, "ttl": TTL_SECONDS},
    ).fetchone()
    return None if row is None else Lease(**row)


def holder(connection: Connection, tenant_id: UUID, resource: str) -> Lease | None:
    """The lease on `resource`, also an expired one, or None if nobody ever held it or it was released."""
    row = connection.execute(
        "select resource, owner, fencing_token, expires_at from leases where tenant_id = %s and resource = %s",
        [tenant_id, resource],
    ).fetchone()
    return None if row is None else Lease(**row)


def release(connection: Connection, tenant_id: UUID, resource: str, owner: str, fencing_token: int) -> bool:
    """Give the lease back; only its owner, with its own token, can. True when it was ours to give."""
    done = connection.execute(
        "delete from leases where tenant_id = %s and resource = %s and owner = %s and fencing_token = %s",
        [tenant_id, resource, owner, fencing_token],
    )
    return done.rowcount == 1


def break_(connection: Connection, tenant_id: UUID, resource: str) -> Lease | None:
    """Take the lease away from whoever holds it (`unlock --force`): the next holder's token fences the old one."""
    row = connection.execute(
        """
        delete from leases where tenant_id = %s and resource = %s
        returning resource, owner, fencing_token, expires_at
        """,
        [tenant_id, resource],
    ).fetchone()
    return None if row is None else Lease(**row)


def renew_all(connection: Connection, owner: str) -> None:
    """Prolong everything `owner` holds; part of its heartbeat."""
    connection.execute(
        "update leases set expires_at = now() + make_interval(secs => %s) where owner = %s", [TTL_SECONDS, owner]
    )
