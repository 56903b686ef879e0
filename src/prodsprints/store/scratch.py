"""A database of its own with our schema, for whoever wants to break one: made, migrated, and gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from prodsprints.kernel import clock
from prodsprints.store.address import Address
from prodsprints.store.errors import DatabaseUnavailableError
from prodsprints.store.migrate import migrate

_PREFIX = "scratch_"  # not prodsprints_: it is none of the roles that the product acts in
_FORGOTTEN_SECONDS = 3600
_LOCK = 5_078_802  # one at a time on a server: they grant the same roles


@contextmanager
def database(admin: Address | None) -> Iterator[Address]:
    """The address of a new database at this code's revision. `admin` may create databases and roles.

    Who connects there acts as the owner of its tables, who is no superuser: row-level security binds it, as it binds
    the owner of a database in production. Raises DatabaseUnavailableError when there is no `admin`.
    """
    if admin is None:
        raise DatabaseUnavailableError(
            "There is no PostgreSQL role that may create databases.",
            next_step="Set PRODSPRINTS_ADMIN_DATABASE_URL to one, or use the embedded server: prodsprints up.",
        )
    name = f"{_PREFIX}{int(clock.now().timestamp())}_{uuid4().hex[:12]}"
    owned = Address(make_conninfo(admin.with_database(name).conninfo, options=f"-c role={name}"))
    with psycopg.connect(admin.conninfo, autocommit=True, connect_timeout=5) as connection:
        try:
            connection.execute("select pg_advisory_lock(%s)", [_LOCK])
            _remove(connection, *_forgotten(connection))
            _create(connection, name)
            migrate(owned, login_role=name)
            connection.execute("select pg_advisory_unlock(%s)", [_LOCK])
            yield owned
        finally:
            _remove(connection, name)


def _create(connection: psycopg.Connection, name: str) -> None:
    owner = sql.Identifier(name)
    connection.execute(sql.SQL("create role {} nologin createrole").format(owner))
    ours = connection.execute(
        r"select rolname from pg_roles where rolname like 'prodsprints\_%' and not rolcanlogin"
    ).fetchall()
    for (role,) in ours:
        connection.execute(sql.SQL("grant {} to {} with admin option").format(sql.Identifier(role), owner))
    connection.execute(sql.SQL("grant {} to current_user").format(owner))
    connection.execute(sql.SQL("create database {} owner {}").format(owner, owner))


def _forgotten(connection: psycopg.Connection) -> list[str]:
    """Those whose makers were killed: an hour old, when nothing of ours takes minutes."""
    rows = connection.execute(
        r"""
        select rolname from pg_roles where rolname ~ '^scratch_\d+_'
          and split_part(rolname, '_', 2)::bigint < extract(epoch from now()) - %s
        """,
        [_FORGOTTEN_SECONDS],
    ).fetchall()
    return [name for (name,) in rows]


def _remove(connection: psycopg.Connection, *names: str) -> None:
    for name in map(sql.Identifier, names):
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        connection.execute(sql.SQL("drop role if exists {}").format(name))
