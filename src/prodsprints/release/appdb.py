"""A database for each environment of an application: one role runs it, one migrates it, and neither can contract it.

Migrations are expand-only, whatever tool writes them: an event trigger compares the catalogue after every statement
with what was there when the migration began, and refuses what a running older version could miss (a table or column
dropped, renamed, retyped or made NOT NULL). Rollback therefore never needs a downgrade.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from prodsprints.kernel import files
from prodsprints.release.errors import ApplicationDatabaseError
from prodsprints.release.records import Environment
from prodsprints.store.address import Address
from prodsprints.store.database import Connection, one
from prodsprints.store.errors import DatabaseUnavailableError, FencedError, reason


@dataclass(frozen=True)
class ApplicationDatabase:
    """The database of one environment. `password` is the running application's; the migration's is new each time."""

    name: str
    host: str
    port: str
    password: str

    @property
    def url(self) -> str:
        """`DATABASE_URL` for the application. A secret: hand it to its environment, never to a log."""
        return _url(self.name, self.password, self)


def provision(admin: Address, environment: Environment, *, key_file: Path) -> ApplicationDatabase:
    """Create what is missing of the environment's database and roles; repeating changes nothing.

    Raises ApplicationDatabaseError when the server does not let us create databases, roles and event triggers, and
    DatabaseUnavailableError when it is away.
    """
    name = f"app_{environment.id.hex}"
    migrator = f"{name}_migrate"
    with _refusals(), _connected(admin) as connection:
        database = ApplicationDatabase(name, *_reachable_at(connection), _password(key_file, name))
        connection.execute("select pg_advisory_lock(hashtext(%s))", [name])
        for role, login in ((migrator, False), (name, True)):
            if not connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
            if login:
                connection.execute(
                    sql.SQL("alter role {} login connection limit 40 password {}").format(
                        sql.Identifier(role), sql.Literal(database.password)
                    )
                )
        # Who is no superuser may not act for a role only because it made it.
        if not one(connection.execute("select pg_has_role(%s, 'usage') as ours", [migrator]).fetchone())["ours"]:
            connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(migrator)))
        if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("grant connect on database {} to {}, {}").format(
                sql.Identifier(name), sql.Identifier(name), sql.Identifier(migrator)
            )
        )
    with _refusals(), _connected(admin.with_database(name)) as connection:
        statements = resources.files("prodsprints.release").joinpath("expand_only.sql").read_text(encoding="utf-8")
        connection.execute(statements.encode())
        for statement in (
            "grant usage, create on schema public to {migrator}",
            "grant usage, create on schema public to {app}",
            "alter default privileges for role {migrator} in schema public grant all on tables to {app}",
            "alter default privileges for role {migrator} in schema public grant all on sequences to {app}",
        ):
            connection.execute(sql.SQL(statement).format(migrator=sql.Identifier(migrator), app=sql.Identifier(name)))
    return database


@contextmanager
def migration_url(admin: Address, database: ApplicationDatabase, fencing_token: int) -> Iterator[str]:
    """`DATABASE_URL` for one run of the application's migration, valid until the block ends.

    Fenced: a newer token closes the door on older ones. The migrating role gets a new password and its old sessions
    are ended, so that a worker that lost its lease in the middle of a migration cannot go on with it.
    Raises FencedError when a newer token was here before, and DatabaseUnavailableError, at the latest when the block
    ends, if the server went away meanwhile: then run the migration again.
    """
    role = f"{database.name}_migrate"
    password = secrets.token_urlsafe(32)
    with _refusals(), _connected(admin.with_database(database.name)) as connection:
        taken = connection.execute(
            "update prodsprints_expand.fence set token = %(token)s where token <= %(token)s", {"token": fencing_token}
        )
        if taken.rowcount != 1:
            raise FencedError(
                "A newer release has migrated this database since.", next_step="Nothing: the newer release carries on."
            )
        connection.execute(
            sql.SQL("alter role {} login password {}").format(sql.Identifier(role), sql.Literal(password))
        )
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [role])
        connection.execute("select prodsprints_expand.remember()")
        try:
            yield _url(role, password, database)
        finally:
            connection.execute(sql.SQL("alter role {} nologin").format(sql.Identifier(role)))


def _connected(address: Address) -> Connection:
    return psycopg.connect(address.conninfo, autocommit=True, row_factory=dict_row, connect_timeout=5)


def _reachable_at(connection: Connection) -> tuple[str, str]:
    """Host and port for the application: of several the one that answered; never a socket, which it cannot see."""
    info = connection.info
    return "127.0.0.1" if info.host.startswith("/") else info.host, str(info.port)


def _url(user: str, password: str, database: ApplicationDatabase) -> str:
    return f"postgresql://{user}:{quote(password)}@{database.host}:{database.port}/{database.name}"


def _password(key_file: Path, name: str) -> str:
    """The role's password, derived from this installation's key, so that none is stored (RFC 5869's expand step)."""
    if not key_file.exists():
        key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.replace(key_file, secrets.token_bytes(32))
    return hmac.new(key_file.read_bytes(), f"application database {name}\x01".encode(), hashlib.sha256).hexdigest()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise ApplicationDatabaseError(
            "The application wants a PostgreSQL database, and we may not create one on yours.",
            why=str(error.diag.message_primary),
            next_step="Set PRODSPRINTS_ADMIN_DATABASE_URL to a role that may create databases, roles and event triggers"
            " (these refuse migrations that take something away): docs/how-to/use-your-postgres.md.",
        ) from None
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailableError(
            "The PostgreSQL that holds the applications' databases went away, or cannot be reached.",
            why=reason(error),
            next_step="Check that it runs, then release again.",
        ) from None
