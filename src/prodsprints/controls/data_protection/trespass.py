"""One tenant's tries to reach the rows of another: every verb on every table that PostgreSQL's catalogue names."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from prodsprints.kernel import clock
from prodsprints.store.database import Connection, Database, patient

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reference:
    """A foreign key: these columns name a row of `table` by its `targets`."""

    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of tenants. `columns` are those that an insert may name, with their types; `required` those it must."""

    name: str
    columns: Mapping[str, str]
    required: frozenset[str]
    key: tuple[str, ...]
    references: tuple[Reference, ...]

    @property
    def tenant(self) -> str:
        """The column that says whose a row is."""
        return "id" if self.name == "tenants" else "tenant_id"

    def row(self, tenant: UUID, others: Mapping[str, Row]) -> dict[str, Any]:
        """Values for a new row of `tenant`, which refers to `others`, by table."""
        made = {name: _MADE[self.columns[name]]() for name in self.required}
        for reference in self.references:
            if reference.table in others:
                named = zip(reference.columns, reference.targets, strict=True)
                made |= {column: others[reference.table][target] for column, target in named if column in made}
        return made | {self.tenant: tenant}


@dataclass(frozen=True)
class Attempt:
    """One statement that must reach nothing of another tenant. `binds`: that it is accepted at all reaches it."""

    table: Table
    verb: str
    statement: sql.Composed
    values: Sequence[Any] = ()
    binds: bool = False


@dataclass(frozen=True)
class Try:
    """How an attempt ended."""

    table: str
    verb: str
    reached: bool
    seconds: float


def tables(connection: Connection) -> list[Table]:
    """Every table of tenants, each after those that it must refer to."""
    waiting = [_table(row) for row in connection.execute(_TABLES).fetchall()]
    known = {table.name for table in waiting}
    ordered: list[Table] = []
    while waiting:
        placed = {table.name for table in ordered}
        ready = [table for table in waiting if _needed(table) & known <= placed]
        if not ready:
            raise LookupError(f"these tables need each other: {', '.join(table.name for table in waiting)}")
        ordered += ready
        waiting = [table for table in waiting if table not in ready]
    return ordered


def plant(connection: Connection, every: Sequence[Table], tenant: UUID) -> dict[str, Row]:
    """One row of `tenant` in every table; by the owner, in a database where any row may be made."""
    planted: dict[str, Row] = {}
    for table in every:
        row = connection.execute(*_insert(table, table.row(tenant, planted))).fetchone()
        assert row is not None  # noqa: S101 - it was inserted
        planted[table.name] = row
    return planted


def trespass(
    db: Database, every: Sequence[Table], mine: UUID, own: Mapping[str, Row], theirs: UUID, others: Mapping[str, Row]
) -> Iterator[Try]:
    """Make every attempt, as the tenant `mine`, on the rows `others` of the tenant `theirs`."""
    for table in every:
        before = state(db, table, theirs)
        for attempt in _attempts(table, mine, own, theirs, others):
            began = time.monotonic()
            answered = _answer(db, attempt, mine)
            seconds = time.monotonic() - began
            if answered is None:
                yield Try(table.name, attempt.verb, False, seconds)
                continue
            after = before if attempt.verb.startswith("read") else state(db, table, theirs)
            reached = attempt.binds or theirs in answered or after != before
            yield Try(table.name, attempt.verb, reached, seconds)
            before = after


@patient
def state(db: Database, table: Table, tenant: UUID) -> str | None:
    """A digest over the rows of `tenant` as it sees them itself."""
    statement = sql.SQL(
        "select md5(string_agg(one::text, '|' order by one::text)) as state from {} one where {} = %s"
    ).format(sql.Identifier(table.name), sql.Identifier(table.tenant))
    with db.tenant(tenant) as connection:
        row = connection.execute(statement, [tenant]).fetchone()
    return row["state"] if row else None


def _attempts(
    table: Table, mine: UUID, own: Mapping[str, Row], theirs: UUID, others: Mapping[str, Row]
) -> Iterator[Attempt]:
    def attempt(verb: str, text: LiteralString, *values: Any) -> Attempt:
        names = {"table": sql.Identifier(table.name), "whose": sql.Identifier(table.tenant)}
        return Attempt(table, verb, sql.SQL(text).format(**names), values)

    yield attempt("read", "select {whose} as whose from {table}")
    yield attempt("read one", "select {whose} as whose from {table} where {whose} = %s", theirs)
    yield attempt("read and lock", "select {whose} as whose from {table} for update")
    yield attempt("change", "update {table} set {whose} = {whose} where {whose} = %s", theirs)
    yield attempt("change and see", "update {table} set {whose} = {whose} returning {whose} as whose")
    yield attempt("take", "update {table} set {whose} = %s where {whose} = %s", mine, theirs)
    yield attempt("give away", "update {table} set {whose} = %s where {whose} = %s", theirs, mine)
    row = table.row(theirs, others)
    yield Attempt(table, "plant", *_insert(table, row))
    known = others[table.name]
    yield Attempt(table, "overwrite", *_insert(table, row | {name: known[name] for name in table.key}, upsert=True))
    for reference in table.references:
        if reference.table in others and reference.table != "tenants":
            named = zip(reference.columns, reference.targets, strict=True)
            foreign = {column: others[reference.table][target] for column, target in named if column != table.tenant}
            statement, values = _insert(table, table.row(mine, own) | foreign)
            yield Attempt(table, f"refer to {reference.table}", statement, values, binds=True)
    yield attempt("delete", "delete from {table} where {whose} = %s", theirs)
    yield attempt(
        "delete and see",
        "with gone as (delete from {table} where {whose} = %s returning {whose} as whose) select whose from gone",
        theirs,
    )
    yield attempt("empty", "truncate {table}")


def _insert(table: Table, row: Row, *, upsert: bool = False) -> tuple[sql.Composed, list[Any]]:
    """The statement with its values; with `upsert` it overwrites who is there under the same key."""
    statement = sql.SQL("insert into {} ({}) overriding system value values ({}) ").format(
        sql.Identifier(table.name),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join([sql.Placeholder()] * len(row)),
    )
    whose = sql.Identifier(table.tenant)
    if upsert:
        key = sql.SQL(", ").join(map(sql.Identifier, table.key))
        statement += sql.SQL("on conflict ({}) do update set {} = excluded.{} ").format(key, whose, whose)
    return statement + sql.SQL("returning *, {} as whose").format(whose), list(row.values())


def _answer(db: Database, attempt: Attempt, mine: UUID) -> list[UUID] | None:
    """Whose rows the statement showed; None if it was refused, and with it all that it did."""
    try:
        with db.tenant(mine) as connection:
            cursor = connection.execute(attempt.statement, attempt.values)
            return [row["whose"] for row in cursor.fetchall()] if cursor.description else []
    except REFUSALS:
        return None


def _table(row: Row) -> Table:
    references = tuple(Reference(tuple(columns), name, tuple(targets)) for name, columns, targets in row["refs"])
    return Table(row["name"], row["columns"], frozenset(row["required"]), tuple(row["key"]), references)


def _needed(table: Table) -> set[str]:
    """The tables in which a row must be there first."""
    required = table.required | {table.tenant}
    return {one.table for one in table.references if required.issuperset(one.columns)} - {table.name}


# What PostgreSQL answers to what it does not allow: rights and policies, keys and references, our own triggers.
REFUSALS = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.RaiseException,
    psycopg.errors.FeatureNotSupported,  # emptying a table that others refer to
    psycopg.IntegrityError,
)

_MADE: Mapping[str, Callable[[], Any]] = {
    "uuid": uuid4,
    "text": lambda: f"of-{uuid4().hex}",
    "smallint": lambda: secrets.randbelow(30_000),
    "integer": lambda: secrets.randbelow(2**31),
    "bigint": lambda: secrets.randbelow(2**62),
    "double precision": lambda: 1.0,
    "boolean": lambda: False,
    "bytea": lambda: secrets.token_bytes(32),
    "jsonb": lambda: Jsonb({}),
    "date": lambda: date(2024, 2, 1),
    "timestamp with time zone": clock.now,
    "text[]": list,
    "uuid[]": list,
}

_TABLES = """
select c.relname::text as name,
  (select jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod)) from pg_attribute a
   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity = ''
  ) as columns,
  (select coalesce(array_agg(a.attname::text), '{}') from pg_attribute a
   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity = ''
     and a.attnotnull and not a.atthasdef) as required,
  (select array_agg(a.attname::text) from pg_constraint k join pg_attribute a
   on a.attrelid = k.conrelid and a.attnum = any (k.conkey) where k.conrelid = c.oid and k.contype = 'p') as key,
  (select coalesce(jsonb_agg(jsonb_build_array(k.confrelid::regclass::text,
     (select jsonb_agg(a.attname order by n) from unnest(k.conkey) with ordinality as u (number, n)
      join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number),
     (select jsonb_agg(a.attname order by n) from unnest(k.confkey) with ordinality as u (number, n)
      join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.number))), '[]')
   from pg_constraint k where k.conrelid = c.oid and k.contype = 'f') as refs
from pg_class c
where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
  and (c.relname = 'tenants' or exists (
    select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped))
order by name
"""
