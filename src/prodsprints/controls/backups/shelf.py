"""What the drill of soft delete works on: a tenant's projects as releases leave them, every row of which is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from prodsprints.store import leases, scratch
from prodsprints.store.address import Address
from prodsprints.store.database import Database, one, patient

# One that is deleted as users do, one by SQL, one under a running release, and one that never was.
DELETED, DROPPED, BUSY, NEVER = "shop", "billing", "busy", "never"
DIGEST = f"sha256:{'d' * 64}"

# In the order in which they refer to each other.
TABLES = ("projects", "environments", "releases", "release_steps", "release_events", "release_ticks")

Rows = Mapping[str, frozenset[str]]


@dataclass
class Shelf:
    """A tenant with projects: `before` are all their rows as they were made, `serving` the releases DELETED serves."""

    address: Address
    db: Database
    tenant: UUID
    before: Rows = field(default_factory=dict)
    serving: frozenset[str] = frozenset()
    answers: dict[str, str] = field(default_factory=dict)
    """What PostgreSQL answered to deletes for good, by table."""

    def fill(self) -> None:
        """Make the projects, as releases do: the subject is in its place already, and must not stand in the way."""
        serving = {
            project: [
                _serve(self.db, self.tenant, _environment(self.db, self.tenant, project, name), releases)
                for name, releases in (("production", 2), ("staging", 3))
            ]
            for project in (DELETED, DROPPED)
        }
        add_release(self.db, self.tenant, _environment(self.db, self.tenant, BUSY, "production"), 1)
        self.before, self.serving = self.now(), frozenset(map(str, serving[DELETED]))

    def now(self) -> Rows:
        """Every row of every project as it is, deleted or not."""
        return _rows(self.db, self.tenant)

    def visible(self) -> set[str]:
        """The projects that the user's lists show: they join environments and releases to them."""
        with self.db.tenant(self.tenant) as connection:
            rows = connection.execute(
                """
                select distinct p.name from projects p
                join environments e on e.project_id = p.id join releases r on r.environment_id = e.id
                """
            ).fetchall()
        return {row["name"] for row in rows}


@contextmanager
def shelf(admin: Address | None) -> Iterator[Shelf]:
    """A database of its own with such a tenant in it, which has nothing yet."""
    with scratch.database(admin) as address, closing(Database(address, max_connections=2)) as db:
        with db.dispatch() as connection:
            row = connection.execute("insert into tenants (name) values ('drill') returning id").fetchone()
        tenant = UUID(str(one(row)["id"]))
        yield Shelf(address, db, tenant)


def add_release(db: Database, tenant: UUID, environment: UUID, number: int) -> UUID:
    """A release that waits."""
    with db.tenant(tenant) as connection:
        row = connection.execute(
            """
            insert into releases (environment_id, number, kind, repository, commit, label, digest, requested_by, node)
            values (%s, %s, 'release', '/srv/app', %s, %s, %s, 'drill', 'drill') returning id
            """,
            [environment, number, "c" * 40, f"v{number}", DIGEST],
        ).fetchone()
    return UUID(str(one(row)["id"]))


def _environment(db: Database, tenant: UUID, project: str, name: str) -> UUID:
    with db.tenant(tenant) as connection:
        connection.execute(
            "insert into projects (name, repository) values (%s, '/srv/app') on conflict do nothing", [project]
        )
        row = connection.execute(
            "insert into environments (project_id, name, node, port)"
            " select id, %s, 'drill', 18000 from projects where name = %s returning id",
            [name, project],
        ).fetchone()
    return UUID(str(one(row)["id"]))


def _serve(db: Database, tenant: UUID, environment: UUID, releases: int) -> UUID:
    """Releases with steps, lines and ticks, written by the functions that a release writes them by; the last one."""
    resource = f"environment:{environment}"
    for number in range(1, releases + 1):
        release = add_release(db, tenant, environment, number)
        with db.tenant(tenant) as connection:
            lease = leases.acquire(connection, tenant, resource, "drill")
        token = lease.fencing_token if lease else 0
        held = [tenant, release, resource, "drill", token]
        for position, step in enumerate(("audit", "rollout"), start=1):
            line = {"seq": position, "at": "2026-01-01T00:00:00.1Z", "step": step, "kind": "line", "message": "ö"}
            db.once("select begin_step(%s, %s, %s, %s, %s, %s, %s, '[]')", [*held, step, position])
            db.once(
                "select end_step(%s, %s, %s, %s, %s, %s, 'done', 'Fine.', '{}', %s)",
                [*held, step, Jsonb([{**line, "data": {}}])],
            )
        with db.tenant(tenant) as connection:
            connection.execute("insert into release_ticks values (default, %s, 1, 1.5, 5, 90, 1, 10, 0)", [release])
            connection.execute("update releases set status = 'released', finished_at = now() where id = %s", [release])
            connection.execute("update environments set current_release_id = %s where id = %s", [release, environment])
            leases.release(connection, tenant, resource, "drill", token)
    return release


@patient
def _rows(db: Database, tenant: UUID) -> Rows:
    """Byte by byte as PostgreSQL writes them."""
    with db.tenant(tenant) as connection:
        connection.execute("select set_config('app.deleted', 'shown', true)")
        return {
            table: frozenset(
                row["row"]
                for row in connection.execute(
                    sql.SQL("select one::text as row from {} one").format(sql.Identifier(table))
                )
            )
            for table in TABLES
        }
