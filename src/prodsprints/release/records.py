"""What is kept of projects, environments and releases: the values, and all SQL that reads and writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.release.verdict import Tick
from prodsprints.store.database import Database, one, patient

Status = Literal["queued", "running", "released", "rolled_back", "refused", "failed", "aborted"]
StepStatus = Literal["running", "done", "skipped", "refused", "failed"]
Kind = Literal["release", "rollback"]

ENDED: frozenset[str] = frozenset({"released", "rolled_back", "refused", "failed", "aborted"})


@dataclass(frozen=True)
class Environment:
    """Where releases of one project hold: `key` is its name on the node, `port` the address it answers on there."""

    tenant_id: UUID
    id: UUID
    project: str
    repository: str
    name: str
    node: str
    current_release_id: UUID | None
    port: int | None

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
    """One attempt to make a commit what an environment serves, or (`kind` rollback) to go back to what it served."""

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


@dataclass(frozen=True)
class Step:
    """One named, timed step of a release. `attempt` counts how often it was begun; more than one after a kill."""

    name: str
    position: int
    attempt: int
    status: StepStatus
    summary: str
    detail: dict[str, Any]
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Event:
    """One line of a release's live log; `seq` grows by one within the release, so that a reader can resume."""

    seq: int
    at: datetime
    step: str
    kind: str
    message: str
    data: dict[str, Any]


_ENVIRONMENT = """
select e.tenant_id, e.id, p.name as project, p.repository, e.name, e.node, e.current_release_id, e.port
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
    """The project's environment, created on first use; a project's repository may move, its environments stay."""
    with db.tenant(tenant_id) as connection:
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
    """Queue a release under an id that the caller chose, so that a repeated call adds nothing."""
    with db.tenant(environment.tenant_id) as connection:
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
    before: datetime | None = None,
    limit: int = 50,
) -> list[Release]:
    """The newest releases first; `before` continues a listing at an earlier `created_at`."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            _RELEASE
            + """
            where (%(environment)s::uuid is null or r.environment_id = %(environment)s)
              and (%(before)s::timestamptz is null or r.created_at < %(before)s)
            order by r.created_at desc limit %(limit)s
            """,
            {"environment": environment_id, "before": before, "limit": limit},
        ).fetchall()
    return [Release(**row) for row in rows]


@patient
def steps(db: Database, tenant_id: UUID, release_id: UUID) -> list[Step]:
    """The steps begun so far, in order."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            """
            select name, position, attempt, status, summary, detail, started_at, finished_at
            from release_steps where release_id = %s order by position
            """,
            [release_id],
        ).fetchall()
    return [Step(**row) for row in rows]


@patient
def events(db: Database, tenant_id: UUID, release_id: UUID, *, after: int = 0, limit: int = 500) -> list[Event]:
    """The live log after `seq` = `after`."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            """
            select seq, at, step, kind, message, data from release_events
            where release_id = %s and seq > %s order by seq limit %s
            """,
            [release_id, after, limit],
        ).fetchall()
    return [Event(**row) for row in rows]


@patient
def last_event(db: Database, tenant_id: UUID, release_id: UUID, kind: str) -> Event | None:
    """The newest line of one kind in the live log, or None."""
    with db.tenant(tenant_id) as connection:
        row = connection.execute(
            """
            select seq, at, step, kind, message, data from release_events
            where release_id = %s and kind = %s order by seq desc limit 1
            """,
            [release_id, kind],
        ).fetchone()
    return None if row is None else Event(**row)


@patient
def ticks(db: Database, tenant_id: UUID, release_id: UUID) -> list[Tick]:
    """The canary's evidence so far, oldest first."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            """
            select at, weight, stable_requests, stable_errors, canary_requests, canary_errors
            from release_ticks where release_id = %s order by tick
            """,
            [release_id],
        ).fetchall()
    return [Tick(**row) for row in rows]


@patient
def add_tick(db: Database, tenant_id: UUID, release_id: UUID, number: int, tick: Tick) -> None:
    """Keep one tick; a repeated call with the same number changes nothing."""
    with db.tenant(tenant_id) as connection:
        connection.execute(
            """
            insert into release_ticks
              (release_id, tick, at, weight, stable_requests, stable_errors, canary_requests, canary_errors)
            values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing
            """,
            [
                release_id,
                number,
                tick.at,
                tick.weight,
                tick.stable_requests,
                tick.stable_errors,
                tick.canary_requests,
                tick.canary_errors,
            ],
        )


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
    port: int | None = None,
) -> None:
    """Record how a release ended and, with `serves`, that its environment now serves it. Repeating changes nothing."""
    with db.tenant(release.tenant_id) as connection:
        connection.execute(
            """
            update releases set status = %s, reason = %s, figures = figures || %s,
                   finished_at = coalesce(finished_at, now())
            where id = %s and status in ('queued', 'running')
            """,
            [status, reason, Jsonb(figures), release.id],
        )
        if serves:
            connection.execute(
                "update environments set current_release_id = %s, port = coalesce(%s, port) where id = %s",
                [release.id, port, release.environment_id],
            )


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
            join releases current on current.id = %(current)s
            join releases origin on origin.id = coalesce((current.options ->> 'of')::uuid, current.id)
            where r.environment_id = %(environment)s and r.status = 'released' and r.created_at < origin.created_at
              and r.digest <> current.digest
            order by r.created_at desc limit 1
            """,
            {"current": environment.current_release_id, "environment": environment.id},
        ).fetchone()
    return None if row is None else Release(**row)
