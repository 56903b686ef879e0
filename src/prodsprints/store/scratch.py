"""A database of its own with our schema, for whoever wants to break one: made, migrated, and gone afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from prodsprints.store.address import Address
from prodsprints.store.migrate import migrate

_PREFIX = "prodsprints_scratch_"
_FORGOTTEN_SECONDS = 3600
_LOCK = 5_078_802  # one at a time on a server: they grant the same roles


@contextmanager
def database(admin: Address) -> Iterator[Address]:
    """The address of a new database at this code's revision. `admin` may create databases and roles.

    Who connects there acts as the owner of its tables, who is no superuser: row-level security binds it, as it binds the
    owner of a database in production.
    """
    name = f"{_PREFIX}{int(time.time())}_{uuid4().hex[:12]}"
    owned = Address(make_conninfo(admin.with_database(name).conninfo, options=f"-c role={name}"))
    with psycopg.connect(admin.conninfo, autocommit=True) as connection:
        try:
            connection.execute("select pg_advisory_lock(%s)", [_LOCK])
            _remove_forgotten(connection)
            _create(connection, name)
            migrate(owned, login_role=name)
            connection.execute("select pg_advisory_unlock(%s)", [_LOCK])
            yield owned
        finally:
            _remove(connection, name)


def _create(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("create role {} nologin createrole").format(sql.Identifier(name)))
    ours = connection.execute(
        r"select rolname from pg_roles where rolname like 'prodsprints\_%%' and not rolcanlogin and rolname not like %s",
        [_PREFIX.replace("_", r"\_") + "%"],
    ).fetchall()
    for (role,) in ours:
        connection.execute(
            sql.SQL("grant {} to {} with admin option").format(sql.Identifier(role), sql.Identifier(name))
        )
    connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(name)))
    connection.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(name), sql.Identifier(name)))


def _remove(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))


def _remove_forgotten(connection: psycopg.Connection) -> None:
    """Those whose makers were killed: an hour old, when nothing of ours takes minutes."""
    rows = connection.execute(
        "select rolname from pg_roles where rolname like %s", [_PREFIX.replace("_", r"\_") + "%"]
    ).fetchall()
    for (name,) in rows:
        made = name.removeprefix(_PREFIX).partition("_")[0]
        if made.isdecimal() and int(made) < time.time() - _FORGOTTEN_SECONDS:
            _remove(connection, name)
