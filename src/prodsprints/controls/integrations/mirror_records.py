"""What is recorded of mirrors: for the pages, and for the worker that refreshes those in use and sweeps the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prodsprints.controls.integrations.mirror import Noted
from prodsprints.store.database import Database, one, patient

_LONGEST_FAILURE = 1_000


@dataclass(frozen=True)
class MirrorRecord:
    """One mirror on one node.

    `needed`: a version that was released, or is about to be, reads its repository there, if only to go back to it.
    `serving`: an environment serves a version of it now.
    """

    url: str
    node: str
    size_bytes: int
    fetched_at: datetime | None
    failed_at: datetime | None
    failure: str
    used_at: datetime | None
    needed: bool
    serving: bool

    @property
    def failing(self) -> bool:
        """Whether the host did not answer when it was last asked."""
        return self.failed_at is not None and (self.fetched_at is None or self.failed_at > self.fetched_at)


_MIRROR = """
select m.url, m.node, m.size_bytes, m.fetched_at, m.failed_at, m.failure, m.used_at,
       exists (select from releases r where r.tenant_id = m.tenant_id and r.repository = m.url
               and r.status in ('queued', 'running', 'released')) as needed,
       exists (select from environments e join releases r on r.id = e.current_release_id
               where e.tenant_id = m.tenant_id and r.repository = m.url and e.withdrawn_at is null) as serving
from mirrors m
"""


@patient
def note(db: Database, tenant_id: UUID, node: str, noted: Noted) -> None:
    """Record what became of a mirror."""
    with db.tenant(tenant_id) as connection:
        connection.execute(
            """
            insert into mirrors as m (node, url, size_bytes, fetched_at, failed_at, failure, used_at)
            values (%(node)s, %(url)s, %(size)s, %(fetched)s, %(failed)s, %(failure)s, %(used)s)
            on conflict (tenant_id, node, url) do update set
              size_bytes = excluded.size_bytes,
              fetched_at = excluded.fetched_at,
              failed_at = coalesce(excluded.failed_at, m.failed_at),
              failure = case when excluded.failed_at is null then m.failure else excluded.failure end,
              used_at = coalesce(excluded.used_at, m.used_at)
            """,
            {
                "node": node,
                "url": noted.url,
                "size": noted.size_bytes,
                "fetched": noted.fetched_at,
                "failed": noted.at if noted.failure else None,
                "failure": noted.failure[:_LONGEST_FAILURE],
                "used": noted.at if noted.used else None,
            },
        )


@patient
def mirrors(db: Database, tenant_id: UUID, *, node: str | None = None) -> list[MirrorRecord]:
    """The tenant's mirrors, by address."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            _MIRROR + "where %(node)s::text is null or m.node = %(node)s order by m.url, m.node limit 500",
            {"node": node},
        ).fetchall()
    return [MirrorRecord(**row) for row in rows]


@patient
def forget(db: Database, tenant_id: UUID, *, node: str, url: str) -> None:
    """Take a mirror that is gone out of the record."""
    with db.tenant(tenant_id) as connection:
        connection.execute("delete from mirrors where node = %s and url = %s", [node, url])


@patient
def tenants(db: Database) -> list[UUID]:
    """Who has mirrors, on whatever node."""
    with db.dispatch() as connection:
        rows = connection.execute("select distinct tenant_id from mirrors").fetchall()
    return [row["tenant_id"] for row in rows]


@patient
def tenant_name(db: Database, tenant_id: UUID) -> str:
    """What the tenant is called, as `git-hosts.yaml` names it."""
    with db.tenant(tenant_id) as connection:
        return str(one(connection.execute("select name from tenants where id = %s", [tenant_id]).fetchone())["name"])
