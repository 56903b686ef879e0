"""An application's database: expand-only for migrations, fenced, and closed to others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from prodsprints.release import appdb, records
from prodsprints.release.appdb import ApplicationDatabase
from prodsprints.release.errors import ApplicationDatabaseError
from prodsprints.store.address import Address
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres
from prodsprints.store.errors import DatabaseUnavailableError, FencedError


@pytest.fixture
def admin(postgres: EmbeddedPostgres) -> Address:
    return postgres.admin_address()


@pytest.fixture
def app(database: Database, tenant: UUID, admin: Address, tmp_path: Path) -> Iterator[ApplicationDatabase]:
    environment = records.ensure_environment(
        database, tenant, project="shop", repository="/srv/shop", environment="production", node="n"
    )
    made = appdb.provision(admin, environment, key_file=tmp_path / "key")
    assert appdb.provision(admin, environment, key_file=tmp_path / "key") == made, "repeating changed something"
    with appdb.migration_url(admin, made, 1) as url, psycopg.connect(url) as connection:
        connection.execute("create table orders (id serial primary key, amount int not null, note text)")
    yield made
    with psycopg.connect(admin.conninfo, autocommit=True) as connection:
        connection.execute(f"drop database {made.name} with (force)".encode())
        connection.execute(f"drop role {made.name}, {made.name}_migrate".encode())


@pytest.mark.parametrize(
    "statement",
    [
        "drop table orders",
        "alter table orders drop column note",
        "alter table orders rename column note to remark",
        "alter table orders rename to purchases",
        "alter table orders alter column amount type bigint",
        "alter table orders alter column note set not null",
        "drop schema public cascade",
    ],
)
def test_a_migration_cannot_take_away_what_the_running_version_uses(
    admin: Address, app: ApplicationDatabase, statement: str
) -> None:
    with appdb.migration_url(admin, app, 2) as url, psycopg.connect(url) as connection:
        with pytest.raises(psycopg.Error, match=r"expand-only|must be owner"):
            connection.execute(statement.encode())
        connection.rollback()
        assert connection.execute("select amount, note from orders").fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "alter table orders add column currency text not null default 'EUR'",
        "create table carts (id int primary key)",
        "create index on orders (amount)",
        "create table t (a int); alter table t alter column a type bigint; alter table t drop column a; drop table t",
    ],
)
def test_a_migration_can_add_and_may_change_what_it_added_itself(
    admin: Address, app: ApplicationDatabase, statement: str
) -> None:
    with appdb.migration_url(admin, app, 2) as url, psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def test_the_application_can_use_what_was_migrated(app: ApplicationDatabase) -> None:
    with psycopg.connect(app.url) as connection:
        connection.execute("insert into orders (amount) values (3)")
        assert connection.execute("select amount from orders").fetchall() == [(3,)]


def test_an_older_token_can_no_longer_migrate(admin: Address, app: ApplicationDatabase) -> None:
    with appdb.migration_url(admin, app, 7):
        pass
    with pytest.raises(FencedError), appdb.migration_url(admin, app, 6):
        pass


def test_a_migration_that_lost_its_lease_is_cut_off_in_the_middle(admin: Address, app: ApplicationDatabase) -> None:
    with appdb.migration_url(admin, app, 2) as stale_url, psycopg.connect(stale_url) as stale:
        stale.execute("create table half_done (id int)")
        with appdb.migration_url(admin, app, 3), pytest.raises(psycopg.OperationalError):
            stale.execute("create table other_half (id int)")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(stale_url)
    with psycopg.connect(app.url) as connection:
        assert connection.execute("select to_regclass('half_done')").fetchone() == (None,)


def test_a_server_that_goes_away_during_a_migration_is_noticed_at_its_end(
    admin: Address, app: ApplicationDatabase
) -> None:
    """Whether the migration noticed or not: it runs again from its start."""
    with (
        pytest.raises(DatabaseUnavailableError),
        appdb.migration_url(admin, app, 2),
        psycopg.connect(admin.conninfo) as other,
    ):
        other.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [app.name])
    with appdb.migration_url(admin, app, 2) as url, psycopg.connect(url) as again:
        again.execute("create table after_all (id int)")


def test_an_administrator_who_is_no_superuser_is_told_what_it_takes(
    admin: Address, database: Database, tenant: UUID, tmp_path: Path
) -> None:
    environment = records.ensure_environment(
        database, tenant, project="shop", repository="/srv/shop", environment="production", node="n"
    )
    name, maker = f"app_{environment.id.hex}", f"maker_{environment.id.hex[:12]}"
    with psycopg.connect(admin.conninfo, autocommit=True) as connection:
        connection.execute(f"create role {maker} login createdb createrole password 'geheim99'".encode())
        connection.execute(f"grant connect on database prodsprints to {maker}".encode())
    parts = admin.parts() | {"user": maker, "password": "geheim99"}
    try:
        with pytest.raises(ApplicationDatabaseError, match="create event trigger"):
            appdb.provision(Address(make_conninfo(**parts)), environment, key_file=tmp_path / "key")
    finally:
        with psycopg.connect(admin.conninfo, autocommit=True) as connection:
            connection.execute(f"drop database if exists {name} with (force)".encode())
            connection.execute(f"drop role if exists {name}, {name}_migrate".encode())
            connection.execute(f"drop owned by {maker}".encode())
            connection.execute(f"drop role {maker}".encode())


def test_the_migrating_role_cannot_log_in_after_its_run(admin: Address, app: ApplicationDatabase) -> None:
    with appdb.migration_url(admin, app, 2) as url:
        pass
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_an_application_cannot_reach_our_database_or_another_ones(app: ApplicationDatabase) -> None:
    for other in ("prodsprints", "postgres"):
        url = app.url.removesuffix(app.name) + other
        if other == "prodsprints":
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                psycopg.connect(url)
            continue
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from pg_authid")
