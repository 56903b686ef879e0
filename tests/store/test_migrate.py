"""Migrating a PostgreSQL of the user's own: with no more rights than it takes, and never past this code's revision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from prodsprints.cli.running.database import bring_up_to_date
from prodsprints.kernel.settings import Settings
from prodsprints.store.address import Address
from prodsprints.store.embedded import EmbeddedPostgres
from prodsprints.store.errors import DatabaseUnavailableError, DatabaseVersionError
from prodsprints.store.migrate import check, migrate


@pytest.fixture
def names() -> dict[str, str]:
    unique = uuid4().hex[:12]
    return {"database": f"d_{unique}", "owner": f"owner_{unique}", "login": f"login_{unique}"}


@pytest.fixture
def own(postgres: EmbeddedPostgres, names: dict[str, str]) -> Iterator[Settings]:
    """A database whose owner may create roles and is no superuser, and a login that may nothing."""
    admin = postgres.admin_address()
    with psycopg.connect(admin.conninfo, autocommit=True) as connection:
        for statement in (
            "create role {owner} login createrole password 'geheim99'",
            "create role {login} login password 'geheim99'",
            # Roles are the server's, and these are there already: their creator may grant them.
            "grant prodsprints_tenant, prodsprints_dispatch, prodsprints_auth, prodsprints_sequencer to {owner}"
            " with admin option",
            "create database {database} owner {owner}",
        ):
            connection.execute(statement.format(**names).encode())
    port = admin.parts()["port"]
    yield Settings.from_environment(
        {
            "PRODSPRINTS_DATABASE_URL": f"postgresql://{names['login']}:geheim99@127.0.0.1:{port}/{names['database']}",
            "PRODSPRINTS_ADMIN_DATABASE_URL": f"postgresql://{names['owner']}:geheim99@127.0.0.1:{port}/{names['database']}",
        }
    )
    with psycopg.connect(admin.conninfo, autocommit=True) as connection:
        connection.execute("drop database {database} with (force)".format(**names).encode())
        for role in ("login", "owner"):
            connection.execute(f"drop owned by {names[role]}".encode())
            connection.execute(f"drop role {names[role]}".encode())


def test_an_owner_who_is_no_superuser_migrates_for_a_login_that_may_nothing(own: Settings) -> None:
    bring_up_to_date(own)
    bring_up_to_date(own)
    login = Address.parse(own.database_url or "")
    check(login)
    with psycopg.connect(login.conninfo) as connection:
        connection.execute("create table dbos.the_engine_makes_its_tables_itself ()")
        connection.execute("set local role prodsprints_dispatch")
        connection.execute("select id from releases")


def test_a_role_that_may_not_migrate_is_told_what_it_lacks(own: Settings) -> None:
    with pytest.raises(DatabaseUnavailableError) as refused:
        bring_up_to_date(replace(own, admin_database_url=None))
    assert "permission denied for schema public" in refused.value.why
    assert "PRODSPRINTS_ADMIN_DATABASE_URL" in refused.value.next_step


def test_a_database_of_a_newer_version_is_refused_and_stays_as_it_is(own: Settings, names: dict[str, str]) -> None:
    bring_up_to_date(own)
    admin, login = Address.parse(own.admin_database_url or ""), Address.parse(own.database_url or "")
    with psycopg.connect(admin.conninfo) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    for refuse in (lambda: migrate(admin, login_role=names["login"]), lambda: check(login)):
        with pytest.raises(DatabaseVersionError, match=r"9999.*newer version"):
            refuse()


def test_a_database_without_our_schema_is_for_up_to_migrate(own: Settings) -> None:
    with pytest.raises(DatabaseVersionError, match="prodsprints up"):
        check(Address.parse(own.database_url or ""))
