"""The drill of S004.2: a tenant that tries to reach another one, with row-level security and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from prodsprints.controls.data_protection import isolation
from prodsprints.controls.data_protection.errors import NotIsolatedError
from prodsprints.controls.data_protection.isolation import Gap
from prodsprints.controls.data_protection.trespass import REFUSALS, Row, Table, Try, plant, state, tables, trespass
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.store import migrate, scratch
from prodsprints.store.address import Address
from prodsprints.store.database import Connection, Database
from prodsprints.store.errors import DatabaseUnavailableError

_CONTENT = frozenset({"text", "text[]", "jsonb", "bytea"})

# What roles that act for no tenant may read of it: states, who works where on what, and hashes.
_NO_CONTENT = frozenset(
    (
        *("tenants.name", "environments.node", "releases.node", "releases.status", "releases.worker"),
        *("leases.resource", "leases.owner", "drill_runs.node", "drill_runs.status", "drill_runs.worker"),
        *("drill_runs.row_id", "drill_runs.variant", "drill_runs.environment"),
        *("tokens.digest", "tokens.purpose", "tokens.actor", "ledger_entries.leaf", "ledger_nodes.hash"),
        *("notifications.audience", "notifications.state", "ledger_statements.key_id"),
        "quota_requests.state",
        *("ledger_checkpoints.note", "ledger_checkpoints.frontier"),
    )
)


@dataclass
class Ground:
    """A database of our schema with two tenants, each with a row in every table; and what the first one then tried.

    Who connects to `address` owns the tables and is no superuser.
    """

    address: Address
    tables: list[Table]
    mine: UUID
    own: Mapping[str, Row]
    theirs: UUID
    others: Mapping[str, Row]
    tried: list[Try] = field(default_factory=list)
    door: list[Database] = field(default_factory=list)
    """What tenants come in by; the subject opens it."""


@dataclass(frozen=True)
class Subject:
    """How tenants come in, and who would notice that the schema no longer keeps them apart."""

    db: Database
    gaps: Callable[[psycopg.Connection[Row]], tuple[Gap, ...]]
    require: Callable[[psycopg.Connection[Row]], None]


@contextmanager
def _two_tenants(stage: Stage) -> Iterator[Ground]:
    mine, theirs = uuid4(), uuid4()
    with scratch.database(stage.admin) as address:
        with _connected(address) as connection:
            every = tables(connection)
            with _any_row_let_in(connection, every):
                own, others = plant(connection, every, mine), plant(connection, every, theirs)
        yield Ground(address, every, mine, own, theirs, others)


@contextmanager
def _any_row_let_in(connection: Connection, every: list[Table]) -> Iterator[None]:
    """So that a row can be made up for every table: what a value may be is not what is drilled here."""
    for row in connection.execute(
        "select conrelid::regclass::text as place, conname from pg_constraint"
        " where contype = 'c' and connamespace = 'public'::regnamespace"
    ).fetchall():
        _run(connection, "alter table {} drop constraint {}", row["place"], row["conname"])
    bound = connection.execute(
        "select relname from pg_class where relforcerowsecurity and relnamespace = 'public'::regnamespace"
    ).fetchall()
    for row in bound:
        _run(connection, "alter table {} no force row level security", row["relname"])
    for table in every:
        _run(connection, "alter table {} disable trigger user", table.name)
    yield
    for row in bound:
        _run(connection, "alter table {} force row level security", row["relname"])
    for table in every:
        _run(connection, "alter table {} enable trigger user", table.name)


@contextmanager
def _as_it_is(_: Stage, ground: Ground) -> Iterator[Subject]:
    with closing(Database(ground.address, max_connections=1)) as db:
        ground.door.append(db)
        yield Subject(db, isolation.gaps, isolation.require)


@contextmanager
def _without_policies(_: Stage, ground: Ground) -> Iterator[Subject]:
    """The same tables as PostgreSQL has them by default, open to whoever our roles are."""
    with _connected(ground.address) as connection:
        for table in ground.tables:
            _run(connection, "alter table {} disable row level security", table.name)
            for role in _roles(connection):
                _run(connection, "grant all on {} to {}", table.name, role)
    with closing(Database(ground.address, max_connections=1)) as db:
        ground.door.append(db)
        yield Subject(db, lambda _: (), lambda _: None)


@contextmanager
def _one_trespasses(stage: Stage, ground: Ground) -> Iterator[None]:
    [door] = ground.door
    for one in trespass(door, ground.tables, ground.mine, ground.own, ground.theirs, ground.others):
        ground.tried.append(one)
        stage.sample(not one.reached, one.seconds, one.verb)
    yield


def _both_have_rows(_: Stage, ground: Ground, subject: Subject) -> Observation:
    empty = []
    for tenant in (ground.mine, ground.theirs):
        for table in ground.tables:
            try:
                known = state(subject.db, table, tenant)
            except (psycopg.Error, DatabaseUnavailableError) as error:
                return broke(f"A tenant cannot read its own row in {table.name}: {error}")
            if known is None:
                empty.append(table.name)
    if empty or not ground.tables:
        return broke(f"A tenant does not see its own row in {', '.join(empty) or 'any table'}.")
    with _connected(ground.address) as connection:
        version = connection.info.parameter_status("server_version")
    return held(f"Both tenants see their own rows in {len(ground.tables)} tables of PostgreSQL {version}.")


def _all_was_tried(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    places = {one.table for one in ground.tried}
    missing = [table.name for table in ground.tables if table.name not in places]
    if missing or not places:
        return broke(f"Nothing was tried on {', '.join(missing) or 'any table'}.")
    return held(f"{len(ground.tried)} statements were answered, on {len(places)} tables.")


def _nothing_reached(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    reached = [f"{one.verb} in {one.table}" for one in ground.tried if one.reached]
    if reached:
        more = f" and {len(reached) - 3} more" if len(reached) > 3 else ""
        return broke(f"{len(reached)} of {len(ground.tried)} statements did: {', '.join(reached[:3])}{more}.")
    return held(f"None of {len(ground.tried)} statements on {len(ground.tables)} tables did.")


def _others_read_no_content(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    """No column with content but those that are stated; and these, since a list that grows stale hides what is new."""
    seen: dict[str, str] = {}
    with _connected(ground.address) as connection:
        for role in (role for role in _roles(connection) if role != "prodsprints_tenant"):
            for table in ground.tables:
                for column in (name for name, kind in table.columns.items() if kind in _CONTENT):
                    if _reads(connection, role, table.name, column):
                        seen[f"{table.name}.{column}"] = role
    more = [f"{role} reads {column}" for column, role in seen.items() if column not in _NO_CONTENT]
    if more:
        return broke(f"{', '.join(more[:3])} ({len(more)} in all).")
    unread = sorted(_NO_CONTENT - seen.keys())
    return broke(f"Stated, and read by nobody: {', '.join(unread)}.") if unread else held("Just what is stated.")


def _is_nobodys(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    """Neither the owner of the tables, nor a tenant's session that names no tenant, or none that is."""
    seen = []
    with _connected(ground.address) as connection:
        for role, tenant in (("none", ""), ("prodsprints_tenant", ""), ("prodsprints_tenant", str(uuid4()))):
            for table in ground.tables:
                with connection.transaction(force_rollback=True):
                    if role != "none":
                        connection.execute(
                            "select set_config('role', %s, true), set_config('app.tenant', %s, true)", [role, tenant]
                        )
                    if _run(connection, "select from {}", table.name).rowcount:
                        seen.append(f"{'the owner' if role == 'none' else 'a stranger'} in {table.name}")
    return broke(f"Rows were seen by {', '.join(seen[:3])} ({len(seen)} in all).") if seen else held("No row was seen.")


def _acts_as_asked(_: Stage, ground: Ground, subject: Subject) -> Observation:
    """Each transaction as who was asked for and nobody else, although this pool, like a pooler, has one connection."""
    who = "select current_user::text as role, current_setting('app.tenant', true) as tenant"
    with subject.db.tenant(ground.theirs) as connection:
        seen = [connection.execute(who).fetchone()]
    for door in (subject.db.auth, subject.db.dispatch):
        with door() as connection:
            seen.append(connection.execute(who).fetchone())
    said = [(row["role"], row["tenant"] or "") for row in seen if row]
    expected = [("prodsprints_tenant", str(ground.theirs)), ("prodsprints_auth", ""), ("prodsprints_dispatch", "")]
    return (held if said == expected else broke)(", then ".join(f"{role} {tenant}".rstrip() for role, tenant in said))


def _stays_closed(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    closed = Database(ground.address, max_connections=1)
    closed.close()
    try:
        with closed.tenant(ground.theirs):
            return broke("It was opened again.")
    except DatabaseUnavailableError as error:
        told = str(ground.address) in str(error) and closed.stopping.is_set()
        return (held if told else broke)(str(error))


def _is_let_in(_: Stage, ground: Ground, subject: Subject) -> Observation:
    with _connected(ground.address) as connection:
        for found in subject.gaps(connection) or ():
            return broke(f"{found.place}: {found.gap}.")
        subject.require(connection)
    return held("The schema as it is has no gap.")


def _finds_leaks(_: Stage, ground: Ground, subject: Subject) -> Observation:
    with _connected(ground.address) as connection:
        for statement, place, gap in LEAKS:
            with connection.transaction(force_rollback=True):
                connection.execute(statement)
                if not any(one.place == place and gap in one.gap for one in subject.gaps(connection) or ()):
                    return broke(f"Not found: {statement}.")
    return held(f"Each of {len(LEAKS)} ways to make it leak was found.")


def _is_not_served(_: Stage, ground: Ground, subject: Subject) -> Observation:
    with _connected(ground.address) as connection, connection.transaction(force_rollback=True):
        for number, table in enumerate(ground.tables[:7], start=1):
            _run(connection, "alter table {} no force row level security", table.name)
            try:
                subject.require(connection)
            except NotIsolatedError as error:
                named = sum(f"{one.name}: its row-level security is not forced" in error.why for one in ground.tables)
                more = f"And {number - 5} more." if number > 5 else ""
                if named != min(number, 5) or error.why.endswith(" more.") != bool(more) or more not in error.why:
                    return broke(f"It names {named} of {number} tables: {error.why}")
                if "RUNBOOK.md" not in error.next_step or error.http_status != HTTPStatus.SERVICE_UNAVAILABLE:
                    return broke(f"It does not say what to do, with {error.http_status}: {error}")
            else:
                return broke(f"Served, although {number} tables leak.")
    return held("Refused, with the tables' names and what to do.")


def _reads(connection: Connection, role: str, table: str, column: str) -> bool:
    try:
        with connection.transaction(force_rollback=True):
            _run(connection, "set local role {}", role)
            return _run(connection, "select {} from {}", column, table).rowcount > 0
    except REFUSALS:
        return False


def _roles(connection: Connection) -> list[str]:
    rows = connection.execute(
        r"select rolname from pg_roles where rolname like 'prodsprints\_%' and not rolcanlogin order by rolname"
    ).fetchall()
    return [row["rolname"] for row in rows]


def _connected(address: Address) -> Connection:
    return psycopg.connect(address.conninfo, autocommit=True, row_factory=dict_row, connect_timeout=5)


def _run(connection: Connection, statement: LiteralString, *names: str) -> psycopg.Cursor[Row]:
    return connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


# Every revision makes tables: what is proven is proven of the schema as it is now.
_REVISIONS = tuple(
    f"prodsprints.store.migrations.versions.r{path.stem}:{path.name}"
    for path in sorted((Path(migrate.__file__).parent / "migrations" / "versions").glob("*.sql"))
)

LEAKS: tuple[tuple[LiteralString, str, str], ...] = (
    ("alter table releases disable row level security", "releases", "is not enabled"),
    ("alter table releases no force row level security", "releases", "is not forced"),
    ("create policy more on releases to prodsprints_tenant using (true)", "releases", "policy more shows"),
    ("create policy more on releases for insert to prodsprints_tenant with check (true)", "releases", "more shows"),
    ("create policy more on releases using (tenant_id = current_tenant())", "releases", "policy more shows public"),
    ("create policy more on releases to prodsprints_auth using (true)", "releases", "shows prodsprints_auth"),
    ("create policy more on releases to pg_monitor using (tenant_id = current_tenant())", "releases", "policy more"),
    ("create table notes (note text); grant select on notes to prodsprints_tenant", "notes", "whose its rows are"),
    ("alter table releases add foreign key (environment_id) references environments (id)", "releases", "a reference"),
    ("grant truncate on releases to prodsprints_tenant", "releases", "may empty it"),
    ("grant references (id) on releases to public", "releases", "everybody"),
    ("grant select on releases to public", "releases", "everybody"),
    ("create view v as select * from releases; grant select on v to prodsprints_tenant", "v", "rights of its owner"),
    ("create materialized view v as select; grant select on v to prodsprints_tenant", "v", "rights of its owner"),
    ("grant select (reason) on releases to prodsprints_dispatch", "releases", "sees its column reason"),
    ("create function f() returns int language sql security definer return 1", "f", "rights of its owner"),
)

tenants = Experiment(
    row="S004.2",
    variant="other-tenant",
    title="One tenant tries every verb on every row of another",
    safety=Safety.SAFE,
    fault="a tenant's session tries to read, change, take, give away, overwrite, refer to and delete another's rows",
    sources=(
        "prodsprints.controls.data_protection.isolation",
        "prodsprints.controls.data_protection.errors",
        "prodsprints.controls.data_protection.isolation:isolation.sql",
        *_REVISIONS,
        "prodsprints.store.database",
    ),
    peers=(Peer("PostgreSQL", "the platform's own", PeerClass.ENGINE),),
    stand=_two_tenants,
    treatment=_as_it_is,
    placebo=_without_policies,
    steady=(Probe("both tenants have rows in every table", _both_have_rows),),
    inject=_one_trespasses,
    seen=Probe("every verb was tried on every table", _all_was_tried),
    probes=(
        Probe("no tenant reaches another's rows", _nothing_reached),
        Probe("no other role reads what a tenant wrote", _others_read_no_content),
        Probe("a session of nobody sees no row, nor does the owner", _is_nobodys),
        Probe("each transaction acts as who was asked for", _acts_as_asked),
        Probe("a door that was closed lets nobody in", _stays_closed),
        Probe("the schema as it is is served", _is_let_in),
        Probe("each way to make the schema leak is found", _finds_leaks),
        Probe("a schema that leaks is not served", _is_not_served),
    ),
    named="no tenant reaches another's rows",
    limit_seconds=40.0,  # 3 s on a machine that does nothing else, 13 s under a load of 9
    scale="PostgreSQL directly, not yet behind PgBouncer; checks of values are off, so that rows can be made up",
)
