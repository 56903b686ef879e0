"""Soft delete: what a user deletes disappears at once, and comes back whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prodsprints.controls.backups.errors import NoSuchProjectError, ProjectDeletedError, ReleaseUnderWayError
from prodsprints.store.database import Connection, Database, one, patient

KEPT_DAYS = 30
"""How long a deleted project is kept at least. Nothing purges yet, so for now it is kept until somebody does."""


@dataclass(frozen=True)
class DeletedProject:
    """A project that its user deleted. `withdrawn` once nothing of it runs or answers any more."""

    name: str
    repository: str
    environments: tuple[str, ...]
    deleted_at: datetime
    deleted_by: str
    withdrawn: bool

    @property
    def kept_until(self) -> datetime:
        """Until when it can be brought back for certain."""
        return self.deleted_at + timedelta(days=KEPT_DAYS)


@dataclass(frozen=True)
class SoftDelete:
    """The one way in which users delete projects; the database refuses every other one (revision 0005)."""

    db: Database

    def delete(self, tenant_id: UUID, project: str, *, actor: str) -> DeletedProject:
        """Hide the project from everybody; deleting it again changes nothing.

        Raises NoSuchProjectError, and ReleaseUnderWayError while a release of it waits or runs.
        """
        return _delete(self.db, tenant_id, project, actor)

    def undelete(self, tenant_id: UUID, project: str, *, actor: str) -> list[UUID]:
        """Bring the project back with everything it had; doing so again changes nothing. Raises NoSuchProjectError.

        Returns the releases under way by which its environments serve again what they served.
        """
        return _undelete(self.db, tenant_id, project, actor)

    def deleted(self, tenant_id: UUID) -> list[DeletedProject]:
        """What could be brought back, the newest first."""
        return _deleted(self.db, tenant_id)


def refuse_deleted(connection: Connection, project: str) -> None:
    """Raise ProjectDeletedError when that is the name of a deleted project; for whoever begins a release.

    From here on the transaction sees deleted projects too.
    """
    for deleted in _read(connection, project):
        raise ProjectDeletedError(
            f"The project {project} is deleted.",
            why=f"{deleted.deleted_by} deleted it on {deleted.deleted_at:%Y-%m-%d at %H:%M} UTC. It keeps its name, so"
            f" that it can come back, at least until {deleted.kept_until:%Y-%m-%d}.",
            next_step=f"Bring it back with `prodsprints project undelete {project}`, or give another name with"
            " --project.",
        )


@patient
def _delete(db: Database, tenant_id: UUID, project: str, actor: str) -> DeletedProject:
    with db.tenant(tenant_id) as connection:
        was = one(connection.execute("select delete_project(%s, %s) as was", [project, actor]).fetchone())["was"]
        if was == "unknown":
            raise _unknown(project)
        if was == "busy":
            raise ReleaseUnderWayError(
                f"A release of {project} is under way.",
                why="A project is deleted when nothing changes it any more.",
                next_step="Wait for its end, or stop it with `prodsprints abort`; then delete the project again.",
            )
        [found] = _read(connection, project)
    return found


@patient
def _undelete(db: Database, tenant_id: UUID, project: str, actor: str) -> list[UUID]:
    with db.tenant(tenant_id) as connection:
        was = one(connection.execute("select undelete_project(%s, %s) as was", [project, actor]).fetchone())["was"]
        if was == "unknown":
            raise _unknown(project)
        rows = connection.execute(
            """
            select r.id from releases r join environments e on e.id = r.environment_id
            join projects p on p.id = e.project_id
            where p.name = %s and r.kind = 'rollback' and r.status in ('queued', 'running') order by e.name
            """,
            [project],
        ).fetchall()
    return [row["id"] for row in rows]


@patient
def _deleted(db: Database, tenant_id: UUID) -> list[DeletedProject]:
    with db.tenant(tenant_id) as connection:
        return _read(connection)


def _read(connection: Connection, project: str | None = None) -> list[DeletedProject]:
    connection.execute("select show_deleted()")
    rows = connection.execute(
        """
        select p.name, p.repository, p.deleted_at, p.deleted_by,
               coalesce(array_agg(e.name order by e.name) filter (where e.id is not null), '{}') as environments,
               coalesce(bool_and(e.withdrawn_at is not null) filter (where e.id is not null), true) as withdrawn
        from projects p left join environments e on e.project_id = p.id
        where p.deleted_at is not null and (%(project)s::text is null or p.name = %(project)s)
        group by p.id order by p.deleted_at desc, p.name limit 500
        """,
        {"project": project},
    ).fetchall()
    return [DeletedProject(**{**row, "environments": tuple(row["environments"])}) for row in rows]


def _unknown(project: str) -> NoSuchProjectError:
    return NoSuchProjectError(
        f"There is no project {project}.",
        why="Neither a living one nor a deleted one has that name.",
        next_step="`prodsprints project list` and `prodsprints project list --deleted` say which there are.",
    )
