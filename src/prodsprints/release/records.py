"""What is kept of environments and releases as a whole: the values, and the SQL that reads and writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.controls.backups import soft_delete
from prodsprints.notify import outbox
from prodsprints.notify.message import Message, Severity
from prodsprints.store.database import Database, one, patient

Status = Literal["queued", "running", "released", "rolled_back", "refused", "failed", "aborted"]
Kind = Literal["release", "rollback"]
Position = tuple[datetime, UUID]
"""Where a release stands in a listing: when it was asked for and, among those of one moment, its id."""

_BADLY: dict[Status, tuple[Severity, str]] = {
    "failed": ("critical", "failed"),
    "refused": ("warning", "was refused"),
    "rolled_back": ("critical", "was rolled back"),
}
ENDED: frozenset[str] = frozenset({"released", "rolled_back", "refused", "failed", "aborted"})


@dataclass(frozen=True)
class Environment:
    """Where releases of one project hold: `key` is its name on the node, `port` the address it answers on there.

    `withdrawn`: the current release does not serve, since its project was deleted; the next one kept here does.
    """

    tenant_id: UUID
    id: UUID
    project: str
    repository: str
    name: str
    node: str
    current_release_id: UUID | None
    port: int | None
    withdrawn: bool = False

    @property
    def key(self) -> str:
        """The name that the node agent knows this environment by; unique over all tenants."""
        return f"{self.project}.{self.name}.{self.id.hex[:8]}"

    @property
    def lease(self) -> str:
        """The resource that a release holds a lease on, so that releases of one environment run one after the other."""
        return f"environment:{self.id}"


@dataclass(frozen=True)
class Release:
    """One attempt to make a commit what an environment serves, or (`kind` rollback) to go back to what it served.

    `repository` is a path on the node, or the address of a remote one; of that `commit` is empty until it was found.
    """

    tenant_id: UUID
    id: UUID
    environment_id: UUID
    project: str
    environment: str
    number: int
    kind: Kind
    status: Status
    repository: str
    commit: str
    label: str
    digest: str | None
    requested_by: str
    node: str
    fencing_token: int | None
    worker: str | None
    options: dict[str, Any]
    reason: str
    figures: dict[str, Any]
    abort_requested_at: datetime | None
    promote_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def position(self) -> Position:
        """Where it stands in a listing."""
        return self.created_at, self.id


_ENVIRONMENT = """
select e.tenant_id, e.id, p.name as project, p.repository, e.name, e.node, e.current_release_id, e.port,
       e.withdrawn_at is not null and e.current_release_id is not null as withdrawn
from environments e join projects p on p.id = e.project_id
"""

_RELEASE = """
select r.tenant_id, r.id, r.environment_id, p.name as project, e.name as environment, r.number, r.kind, r.status,
       r.repository, r.commit, r.label, r.digest, r.requested_by, r.node, r.fencing_token, r.worker, r.options,
       r.reason, r.figures,
       r.abort_requested_at, r.promote_requested_at, r.created_at, r.started_at, r.finished_at
from releases r join environments e on e.id = r.environment_id join projects p on p.id = e.project_id
"""


@patient
def ensure_environment(
    db: Database, tenant_id: UUID, *, project: str, repository: str, environment: str, node: str
) -> Environment:
    """The project's environment, created on first use; a project's repository may move, its environments stay.

    Raises ProjectDeletedError for a project that can be brought back: its name is not for another one to take.
    """
    with db.tenant(tenant_id) as connection:
        soft_delete.refuse_deleted(connection, project)
        project_id = one(
            connection.execute(
                """
                insert into projects (name, repository) values (%s, %s)
                on conflict (tenant_id, name) do update set repository = excluded.repository returning id
                """,
                [project, repository],
            ).fetchone()
        )["id"]
        connection.execute(
            """
            insert into environments (project_id, name, node) values (%s, %s, %s)
            on conflict (project_id, name) do nothing
            """,
            [project_id, environment, node],
        )
        row = connection.execute(
            _ENVIRONMENT + "where e.project_id = %s and e.name = %s", [project_id, environment]
        ).fetchone()
    return Environment(**one(row))


@patient
def environments(db: Database, tenant_id: UUID) -> list[Environment]:
    """All environments of the tenant, by project and name."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(_ENVIRONMENT + "order by p.name, e.name limit 500").fetchall()
    return [Environment(**row) for row in rows]


@patient
def environment(db: Database, tenant_id: UUID, environment_id: UUID) -> Environment | None:
    """One environment by id, or None if this tenant has none such."""
    with db.tenant(tenant_id) as connection:
        row = connection.execute(_ENVIRONMENT + "where e.id = %s", [environment_id]).fetchone()
    return None if row is None else Environment(**row)


@patient
def to_withdraw(db: Database, tenant_id: UUID, environment_id: UUID) -> Environment | None:
    """The environment if its project is deleted; those the tenant sees nowhere else."""
    with db.tenant(tenant_id) as connection:
        connection.execute("select show_deleted()")
        row = connection.execute(
            _ENVIRONMENT + "where e.id = %s and p.deleted_at is not null", [environment_id]
        ).fetchone()
    return None if row is None else Environment(**row)


@patient
def set_withdrawn(db: Database, environment: Environment) -> None:
    """Record that nothing of a deleted project runs in this environment; not if it was undeleted meanwhile."""
    with db.tenant(environment.tenant_id) as connection:
        connection.execute("select show_deleted()")
        connection.execute(
            """
            with deleted as (
              select id from projects
              where id = (select project_id from environments where id = %(id)s) and deleted_at is not null for share
            )
            update environments set withdrawn_at = now() from deleted
            where environments.id = %(id)s and project_id = deleted.id
            """,
            {"id": environment.id},
        )


@patient
def add(
    db: Database,
    environment: Environment,
    *,
    id: UUID,
    kind: Kind,
    repository: str,
    commit: str,
    label: str,
    requested_by: str,
    digest: str | None = None,
    options: dict[str, Any] | None = None,
) -> Release:
    """Queue a release under an id that the caller chose, so that a repeated call adds nothing.

    Raises ProjectDeletedError when the project was deleted since `environment` was read.
    """
    with db.tenant(environment.tenant_id) as connection:
        # First the project, then its environment, as a deletion locks them.
        connection.execute(
            "select from projects where id = (select project_id from environments where id = %s) for share",
            [environment.id],
        )
        soft_delete.refuse_deleted(connection, environment.project)
        connection.execute("select from environments where id = %s for update", [environment.id])
        connection.execute(
            """
            insert into releases
              (id, environment_id, number, kind, repository, commit, label, digest, requested_by, node, options)
            select %(id)s, %(environment)s, coalesce(max(number), 0) + 1, %(kind)s, %(repository)s, %(commit)s,
                   %(label)s, %(digest)s, %(requested_by)s, %(node)s, %(options)s
            from releases where environment_id = %(environment)s
            on conflict (id) do nothing
            """,
            {
                "id": id,
                "environment": environment.id,
                "kind": kind,
                "repository": repository,
                "commit": commit,
                "label": label,
                "digest": digest,
                "requested_by": requested_by,
                "node": environment.node,
                "options": Jsonb(options or {}),
            },
        )
        row = connection.execute(_RELEASE + "where r.id = %s", [id]).fetchone()
    return Release(**one(row))


@patient
def get(db: Database, tenant_id: UUID, release_id: UUID) -> Release | None:
    """One release by id, or None if this tenant has none such."""
    with db.tenant(tenant_id) as connection:
        row = connection.execute(_RELEASE + "where r.id = %s", [release_id]).fetchone()
    return None if row is None else Release(**row)


@patient
def releases(
    db: Database,
    tenant_id: UUID,
    *,
    environment_id: UUID | None = None,
    before: Position | None = None,
    limit: int = 50,
) -> list[Release]:
    """The newest releases first; `before` continues a listing after the release at that position."""
    moment, id = before or (None, None)
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            _RELEASE
            + """
            where (%(environment)s::uuid is null or r.environment_id = %(environment)s)
              and (%(moment)s::timestamptz is null or (r.created_at, r.id) < (%(moment)s, %(id)s))
            order by r.created_at desc, r.id desc limit %(limit)s
            """,
            {"environment": environment_id, "moment": moment, "id": id, "limit": limit},
        ).fetchall()
    return [Release(**row) for row in rows]


@patient
def serving(db: Database, tenant_id: UUID) -> dict[UUID, Release]:
    """What the tenant's environments serve now, by the release's id."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(_RELEASE + "where r.id = e.current_release_id limit 500").fetchall()
    return {row["id"]: Release(**row) for row in rows}


@patient
def request_abort(db: Database, tenant_id: UUID, release_id: UUID) -> bool:
    """Ask a running or waiting release to stop and go back; False when it has ended already."""
    return _request(db, tenant_id, release_id, "abort_requested_at")


@patient
def request_promote(db: Database, tenant_id: UUID, release_id: UUID) -> bool:
    """Ask a running canary to go to 100 % without waiting for its verdict; False when it has ended already."""
    return _request(db, tenant_id, release_id, "promote_requested_at")


def _request(
    db: Database, tenant_id: UUID, release_id: UUID, column: Literal["abort_requested_at", "promote_requested_at"]
) -> bool:
    statement = {
        "abort_requested_at": "update releases set abort_requested_at = coalesce(abort_requested_at, now()) ",
        "promote_requested_at": "update releases set promote_requested_at = coalesce(promote_requested_at, now()) ",
    }[column]
    with db.tenant(tenant_id) as connection:
        done = connection.execute(statement + "where id = %s and status in ('queued', 'running')", [release_id])
    return done.rowcount == 1


@patient
def finish(
    db: Database,
    release: Release,
    *,
    status: Status,
    reason: str,
    figures: dict[str, Any],
    serves: bool,
    fencing_token: int | None,
    port: int | None = None,
) -> None:
    """Record how a release ended and, with `serves`, that its environment now serves it.

    One that ended badly is told to #ops in the same transaction. Repeating changes nothing, and neither does a worker
    whose release was taken over since: its `fencing_token` is no longer the release's.
    """
    with db.tenant(release.tenant_id) as connection:
        ended = connection.execute(
            """
            update releases set status = %s, reason = %s, figures = figures || %s, finished_at = now()
            where id = %s and status in ('queued', 'running') and fencing_token is not distinct from %s
            """,
            [status, reason, Jsonb(figures), release.id, fencing_token],
        )
        if serves and ended.rowcount:
            connection.execute(
                "update environments set current_release_id = %s, port = coalesce(%s, port), withdrawn_at = null"
                " where id = %s",
                [release.id, port, release.environment_id],
            )
        if status in _BADLY and ended.rowcount:
            outbox.put(connection, _told(release, status, reason), requested_by="release")


def _told(release: Release, status: Status, reason: str) -> Message:
    severity, ended = _BADLY[status]
    what = "The rollback" if release.kind == "rollback" else "The release"
    where = f"{release.project} {release.label} to {release.environment}"
    return Message.about(
        "#ops", severity, f"{what} of {where} {ended}", f"{reason}\n\nRelease {release.id} of {release.commit[:12]}."
    )


@patient
def set_commit(db: Database, release: Release, commit: str, label: str) -> None:
    """Record which commit this release turned out to be of."""
    with db.tenant(release.tenant_id) as connection:
        connection.execute("update releases set commit = %s, label = %s where id = %s", [commit, label, release.id])


@patient
def set_digest(db: Database, release: Release, digest: str) -> None:
    """Record which image this release runs."""
    with db.tenant(release.tenant_id) as connection:
        connection.execute("update releases set digest = %s where id = %s", [digest, release.id])


@patient
def previous(db: Database, environment: Environment) -> Release | None:
    """What a rollback goes back to: the newest version kept before the one that serves, and running another image.

    Of what a rollback brought back, the place in this order is that of its first release: a second rollback goes
    further back, and never forward again to what the first one left.
    """
    with db.tenant(environment.tenant_id) as connection:
        row = connection.execute(
            _RELEASE
            + """
            join releases current on current.id = e.current_release_id
            join releases origin on origin.id = coalesce((current.options ->> 'of')::uuid, current.id)
            where e.id = %s and r.status = 'released' and r.created_at < origin.created_at
              and r.digest <> current.digest
            order by r.created_at desc limit 1
            """,
            [environment.id],
        ).fetchone()
    return None if row is None else Release(**row)
