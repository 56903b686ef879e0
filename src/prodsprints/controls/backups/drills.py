"""The drill of O005.4: a user deletes a project by mistake, with soft delete and in tables as PostgreSQL has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Protocol
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from prodsprints.controls.backups.errors import NoSuchProjectError, ProjectDeletedError, ReleaseUnderWayError
from prodsprints.controls.backups.shelf import (
    BUSY,
    DELETED,
    DIGEST,
    DROPPED,
    NEVER,
    TABLES,
    Shelf,
    add_release,
    shelf,
)
from prodsprints.controls.backups.soft_delete import DeletedProject, SoftDelete, refuse_deleted
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.store.database import Connection, Database, patient


class Hand(Protocol):
    """How a user deletes a project, and what there is to bring it back."""

    def delete(self, tenant_id: UUID, project: str, *, actor: str) -> object:
        """Delete it. Raises NoSuchProjectError."""

    def undelete(self, tenant_id: UUID, project: str, *, actor: str) -> list[UUID]:
        """Bring it back. Raises NoSuchProjectError."""

    def deleted(self, tenant_id: UUID) -> list[DeletedProject]:
        """What can be brought back."""


@dataclass(frozen=True)
class Desk:
    """What a user sits at: a way to delete, and what speaks up when a release goes to what was deleted."""

    hand: Hand
    refuse: Callable[[Connection, str], None]


@contextmanager
def _stand(stage: Stage) -> Iterator[Shelf]:
    with shelf(stage.admin) as made:
        yield made


@contextmanager
def _with_soft_delete(_: Stage, shelf: Shelf) -> Iterator[Desk]:
    yield Desk(SoftDelete(shelf.db), refuse_deleted)


@contextmanager
def _with_plain_tables(_: Stage, shelf: Shelf) -> Iterator[Desk]:
    """The same tables with DELETE for whoever has them, and cascades instead of a history."""
    with psycopg.connect(shelf.address.conninfo, row_factory=dict_row) as connection:
        for key in connection.execute(
            """
            select conrelid::regclass::text as place, conname, pg_get_constraintdef(oid) as said from pg_constraint
            where contype = 'f' and confrelid::regclass::text = any (%s)
            """,
            [list(TABLES)],
        ).fetchall():
            place, name = sql.Identifier(key["place"]), sql.Identifier(key["conname"])
            connection.execute(sql.SQL("alter table {} drop constraint {}").format(place, name))
            connection.execute(
                sql.SQL("alter table {} add constraint {} {} on delete cascade").format(
                    place, name, sql.SQL(key["said"])
                )
            )
        connection.execute("drop policy hide_deleted on projects")
        connection.execute("drop trigger refuse_deleted_project on releases")
        for table in TABLES:
            connection.execute(sql.SQL("grant delete on {} to prodsprints_tenant").format(sql.Identifier(table)))
    yield Desk(_Plain(shelf.db), lambda _connection, _project: None)


@dataclass(frozen=True)
class _Plain:
    """Deleting as PostgreSQL does it."""

    db: Database

    def delete(self, tenant_id: UUID, project: str, *, actor: str) -> object:  # noqa: ARG002 - nobody is told
        return _for_good(self.db, tenant_id, project)

    def undelete(self, tenant_id: UUID, project: str, *, actor: str) -> list[UUID]:  # noqa: ARG002 - there is no way
        return []

    def deleted(self, tenant_id: UUID) -> list[DeletedProject]:  # noqa: ARG002 - the same
        return []


@patient
def _for_good(db: Database, tenant_id: UUID, project: str) -> None:
    with db.tenant(tenant_id) as connection:
        if connection.execute("delete from projects where name = %s", [project]).rowcount == 0:
            raise NoSuchProjectError(f"There is no project {project}.", next_step="Name another one.")


@contextmanager
def _deleted_in_sql(_: Stage, shelf: Shelf) -> Iterator[None]:
    """By a session of the tenant, straight in the database: one project for good, and a try at every other table."""
    for table in TABLES:
        statement = "delete from {} where name = %s" if table == "projects" else "delete from {} where %s <> ''"
        try:
            with (
                shelf.db.tenant(shelf.tenant) as connection,
                connection.transaction(force_rollback=table != "projects"),
            ):
                done = connection.execute(sql.SQL(statement).format(sql.Identifier(table)), [DROPPED])
                shelf.answers[table] = f"{done.rowcount} deleted"
        except psycopg.errors.InsufficientPrivilege:
            shelf.answers[table] = "refused"
        except psycopg.IntegrityError:
            shelf.answers[table] = "allowed, but for what still refers to it"
    yield


def _all_there(_: Stage, shelf: Shelf, desk: Desk) -> Observation:
    try:
        shelf.fill()
    except (psycopg.Error, LookupError) as error:
        return broke(f"Projects cannot be made and released: {error}")
    empty = [table for table in TABLES if not shelf.before[table]]
    if empty or shelf.visible() != {DELETED, DROPPED, BUSY} or desk.hand.deleted(shelf.tenant):
        return broke(f"Not as it was made: {', '.join(sorted(shelf.visible()))}; nothing in {', '.join(empty)}.")
    return held(f"{len(shelf.visible())} projects, {sum(map(len, shelf.before.values()))} rows.")


def _was_asked(_: Stage, shelf: Shelf, _desk: Desk) -> Observation:
    said = ", ".join(f"{table}: {answer}" for table, answer in shelf.answers.items())
    return held(f"{said}.") if len(shelf.answers) == len(TABLES) else broke(f"Not every table was tried: {said}.")


def _is_refused_in_sql(_: Stage, shelf: Shelf, _desk: Desk) -> Observation:
    done = [f"{table}: {answer}" for table, answer in shelf.answers.items() if answer != "refused"]
    return broke(f"{', '.join(done)}.") if done else held(f"Refused in all of {len(TABLES)} tables.")


def _is_gone(_: Stage, shelf: Shelf, desk: Desk) -> Observation:
    desk.hand.delete(shelf.tenant, DELETED, actor="ada")
    visible = shelf.visible()
    if DELETED in visible or BUSY not in visible:
        return broke(f"The user sees {', '.join(sorted(visible)) or 'nothing'}.")
    return held(f"The user does not see {DELETED} any more, and still sees {', '.join(sorted(visible))}.")


def _is_told(_: Stage, shelf: Shelf, desk: Desk) -> Observation:
    found = desk.hand.deleted(shelf.tenant) or []
    if len(found) != 1:
        return broke(f"{len(found)} projects can be brought back.")
    [one_] = found
    told = (one_.name, one_.repository, one_.environments, one_.deleted_by, one_.withdrawn)
    if told != (DELETED, "/srv/app", ("production", "staging"), "ada", False):
        return broke(f"It is told as {told}.")
    if one_.kept_until != one_.deleted_at + timedelta(days=30):
        return broke(f"It is kept until {one_.kept_until}, though deleted on {one_.deleted_at}.")
    if desk.hand.delete(shelf.tenant, DELETED, actor="bob") != one_:
        return broke("Deleted again, it is another one.")
    return held(f"{one_.name}, deleted by {one_.deleted_by}, kept until {one_.kept_until:%Y-%m-%d}; again: the same.")


def _stays_under_a_release(_: Stage, shelf: Shelf, desk: Desk) -> Observation:
    try:
        desk.hand.delete(shelf.tenant, BUSY, actor="ada")
    except ReleaseUnderWayError as error:
        if BUSY not in shelf.visible() or BUSY not in str(error) or error.http_status != HTTPStatus.CONFLICT:
            return broke(f"Refused with {error.http_status}, and gone: {error}")
        return held(str(error))
    return broke("Deleted, while a release of it was under way.")


def _knows_what_never_was(_: Stage, shelf: Shelf, desk: Desk) -> Observation:
    for act in (desk.hand.delete, desk.hand.undelete):
        try:
            act(shelf.tenant, NEVER, actor="ada")
        except NoSuchProjectError as error:
            said = str(error)
            if error.http_status != HTTPStatus.NOT_FOUND:
                return broke(f"It is refused with {error.http_status}.")
        else:
            return broke(f"There never was a project {NEVER}, and nobody says so.")
    return held(said)


def _takes_no_release(_: Stage, shelf: Shelf, desk: Desk) -> Observation:
    with shelf.db.tenant(shelf.tenant) as connection:
        desk.refuse(connection, BUSY)
        try:
            desk.refuse(connection, DELETED)
        except ProjectDeletedError as error:
            said = str(error)
            if error.http_status != HTTPStatus.CONFLICT:
                return broke(f"It is refused with {error.http_status}.")
        else:
            return broke("A release goes to a project that is deleted, and nobody says so.")
    if not all(words in said for words in (DELETED, "ada deleted it", f"prodsprints project undelete {DELETED}")):
        return broke(f"It does not say what to do: {said}")
    with shelf.db.tenant(shelf.tenant) as connection:
        rows = connection.execute(
            "select e.id from environments e where exists (select from releases where id = e.current_release_id)"
            " and not exists (select from projects p where p.id = e.project_id)"
        ).fetchall()
    for row in rows:
        try:
            add_release(shelf.db, shelf.tenant, row["id"], 9)
        except psycopg.IntegrityError:
            continue
        return broke("PostgreSQL takes a release to a deleted project.")
    return held(f"{said} PostgreSQL refuses it, too.")


def _comes_back(stage: Stage, shelf: Shelf, desk: Desk) -> Observation:
    began = time.monotonic()
    desk.hand.undelete(shelf.tenant, DELETED, actor="bob")
    seconds = time.monotonic() - began
    now = shelf.now()
    lost = {table: len(shelf.before[table] - now[table]) for table in TABLES if shelf.before[table] - now[table]}
    stage.sample(not lost, seconds, "undelete")
    stage.measure("recover_seconds", seconds)
    stage.measure("data_lost", sum(lost.values()))
    of = sum(map(len, shelf.before.values()))
    if lost:
        said = ", ".join(f"{number} of {table}" for table, number in lost.items())
        return broke(f"{sum(lost.values())} of {of} rows are gone: {said}.")
    if shelf.visible() != {DELETED, DROPPED, BUSY} or desk.hand.deleted(shelf.tenant):
        return broke(f"Its rows are there, and the user sees only {', '.join(sorted(shelf.visible()))}.")
    return held(f"All of {of} rows are as they were, byte by byte, {1000 * seconds:.0f} ms after it was asked for.")


def _serves_again(_: Stage, shelf: Shelf, desk: Desk) -> Observation:
    begun = desk.hand.undelete(shelf.tenant, DELETED, actor="bob")
    now = shelf.now()
    with shelf.db.tenant(shelf.tenant) as connection:
        rows = connection.execute(
            "select kind, status, digest, number, requested_by, options ->> 'of' as of from releases"
            " where id = any (%s)",
            [begun],
        ).fetchall()
    wrong = [row for row in rows if _as_queued(row) != ("rollback", "queued", DIGEST, "bob")]
    if sorted(row["number"] for row in rows) != [3, 4]:
        return broke(f"After two releases and after three they are numbered {[row['number'] for row in rows]}.")
    if wrong or {row["of"] for row in rows} != shelf.serving or len(rows) != len(begun):
        return broke(f"Of {len(shelf.serving)} environments that served, {len(rows) - len(wrong)} will again.")
    if len(now["releases"]) != len(shelf.before["releases"]) + len(begun):
        return broke("Asked for twice, they are queued twice.")
    return held(f"Each of {len(begun)} environments is queued to serve from its image what it served.")


def _as_queued(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("kind", "status", "digest", "requested_by"))


def _is_known_to_workers(_: Stage, shelf: Shelf, _desk: Desk) -> Observation:
    """Those who take it off its nodes act for no tenant, and see ids and states."""
    try:
        with shelf.db.dispatch() as connection:
            rows = connection.execute(
                """
                select p.deleted_at is not null as deleted, e.node, e.withdrawn_at from projects p
                join environments e on (e.tenant_id, e.project_id) = (p.tenant_id, p.id) order by p.id, e.id
                """
            ).fetchall()
    except psycopg.errors.InsufficientPrivilege as error:
        return broke(f"A worker may not see what is to be taken off its node: {error}")
    deleted = [(row["node"], row["withdrawn_at"]) for row in rows if row["deleted"]]
    said = f"A worker sees {len(rows)} environments, {len(deleted)} of them deleted."
    return (held if len(rows) == 5 and deleted == [("drill", None)] * 2 else broke)(said)


def _is_withdrawn_anew(_: Stage, shelf: Shelf, desk: Desk) -> Observation:
    """What was taken off its nodes once, came back and is deleted again runs until it is taken off again."""
    with shelf.db.tenant(shelf.tenant) as connection:
        connection.execute("update releases set status = 'aborted', finished_at = now() where status = 'queued'")
        connection.execute("update environments set withdrawn_at = now()")
    desk.hand.delete(shelf.tenant, DELETED, actor="ada")
    found = desk.hand.deleted(shelf.tenant) or []
    with shelf.db.tenant(shelf.tenant) as connection:
        rows = connection.execute(
            "select p.name from projects p join environments e on e.project_id = p.id where e.withdrawn_at is null"
        ).fetchall()
    if [(one_.name, one_.withdrawn) for one_ in found] != [(DELETED, False)] or rows:
        others = ", ".join(row["name"] for row in rows)
        return broke(f"Told as withdrawn at once, or others as running: {found}, {others}.")
    return held("It is told as not yet withdrawn, and others' environments are left as they are.")


project_deleted = Experiment(
    row="O005.4",
    variant="project-deleted",
    title="A user deletes a project by mistake",
    safety=Safety.SAFE,
    fault="a user deletes a project, and a session of the same tenant deletes another one straight in the database",
    sources=(
        "prodsprints.controls.backups.soft_delete",
        "prodsprints.controls.backups.errors",
        "prodsprints.store.migrations.versions.r0005_soft_delete:0005_soft_delete.sql",
    ),
    peers=(Peer("PostgreSQL", "the platform's own", PeerClass.ENGINE),),
    stand=_stand,
    treatment=_with_soft_delete,
    placebo=_with_plain_tables,
    steady=(Probe("every project is there", _all_there),),
    inject=_deleted_in_sql,
    seen=Probe("the deletions reached PostgreSQL", _was_asked),
    probes=(
        Probe("nothing is deleted for good", _is_refused_in_sql),
        Probe("the deleted project is seen nowhere", _is_gone),
        Probe("who deleted it, and until when it is kept, is told", _is_told),
        Probe("workers see what they are to take off their nodes", _is_known_to_workers),
        Probe("a project stays while a release of it is under way", _stays_under_a_release),
        Probe("a project that never was is not found", _knows_what_never_was),
        Probe("nothing is released to a deleted project", _takes_no_release),
        Probe("the project comes back whole", _comes_back),
        Probe("what it served is queued to serve again", _serves_again),
    ),
    named="the project comes back whole",
    after=(Probe("deleted again, it is taken off its nodes again", _is_withdrawn_anew),),
    scale="Nothing runs on a node here: that its addresses fall silent and answer again is tested with real ones",
)
