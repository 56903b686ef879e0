"""What a worker takes next: the oldest release that waits on its node, or an environment to take out of service."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from prodsprints.store import leases
from prodsprints.store.database import Database, patient


@dataclass(frozen=True)
class Claim:
    """A release that this worker may run: ids only, for the engine."""

    tenant_id: UUID
    release_id: UUID


@dataclass(frozen=True)
class Withdrawal:
    """An environment of a deleted project that this worker may take out of service, under its lease."""

    tenant_id: UUID
    environment_id: UUID
    fencing_token: int


@patient
def claim(db: Database, *, worker: str, node: str) -> Claim | None:
    """Take the next waiting release and its environment's lease, both in one transaction; None when nothing waits.

    Releases of different environments run side by side; of one environment the second waits for the first.
    """
    with db.dispatch() as connection:
        row = connection.execute(
            """
            select r.tenant_id, r.id, r.environment_id from releases r
            where r.status = 'queued' and r.node = %s
              and not exists (
                select from releases other where other.environment_id = r.environment_id and other.status = 'running')
              and not exists (
                select from leases l where l.tenant_id = r.tenant_id
                  and l.resource = 'environment:' || r.environment_id and l.expires_at > now())
            order by r.created_at limit 1 for update skip locked
            """,
            [node],
        ).fetchone()
        if row is None:
            return None
        resource = f"environment:{row['environment_id']}"
        lease = leases.acquire(connection, row["tenant_id"], resource, worker)
        if lease is None:
            return None
        connection.execute(
            """
            update releases set status = 'running', worker = %s, fencing_token = %s, started_at = now()
            where id = %s and status = 'queued'
            """,
            [worker, lease.fencing_token, row["id"]],
        )
    return Claim(row["tenant_id"], row["id"])


@patient
def claim_withdrawal(db: Database, *, worker: str, node: str) -> Withdrawal | None:
    """Take the lease of an environment on this node whose project is deleted and which may still serve."""
    with db.dispatch() as connection:
        row = connection.execute(
            """
            select e.tenant_id, e.id from environments e join projects p on p.id = e.project_id
            where p.deleted_at is not null and e.withdrawn_at is null and e.node = %s
              and not exists (
                select from leases l where l.tenant_id = e.tenant_id
                  and l.resource = 'environment:' || e.id and l.expires_at > now())
            order by p.deleted_at, e.id limit 1
            """,
            [node],
        ).fetchone()
        if row is None:
            return None
        lease = leases.acquire(connection, row["tenant_id"], f"environment:{row['id']}", worker)
    return Withdrawal(row["tenant_id"], row["id"], lease.fencing_token) if lease else None


@patient
def orphans(db: Database, *, node: str) -> list[Claim]:
    """The running releases of this node whose worker is dead."""
    with db.dispatch() as connection:
        rows = connection.execute(
            """
            select r.tenant_id, r.id from releases r
            where r.status = 'running' and r.node = %s
              and not exists (select from workers w where w.id = r.worker and w.reaped_at is null)
            order by r.created_at
            """,
            [node],
        ).fetchall()
    return [Claim(row["tenant_id"], row["id"]) for row in rows]


@patient
def adopt(db: Database, tenant_id: UUID, release_id: UUID, *, resource: str, worker: str) -> int | None:
    """Make `worker` the one that runs this release; returns its fencing token, or None while another one holds it.

    The lease is the only authority: asking for one's own keeps the token, taking over an expired one raises it.
    """
    with db.dispatch() as connection:
        lease = leases.acquire(connection, tenant_id, resource, worker)
        if lease is None:
            return None
        connection.execute(
            "update releases set worker = %s, fencing_token = %s where id = %s and status = 'running'",
            [worker, lease.fencing_token, release_id],
        )
    return lease.fencing_token


@patient
def let_go(db: Database, tenant_id: UUID, *, resource: str, worker: str, fencing_token: int) -> None:
    """Give the environment's lease back after the release has ended; were that lost, it would end by itself."""
    with db.dispatch(durable=False) as connection:
        leases.release(connection, tenant_id, resource, worker, fencing_token)


@patient
def alive(db: Database, worker: str) -> bool:
    """Whether `worker` has not been declared dead."""
    with db.dispatch() as connection:
        row = connection.execute("select 1 from workers where id = %s and reaped_at is null", [worker]).fetchone()
    return row is not None
