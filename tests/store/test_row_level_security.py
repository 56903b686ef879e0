"""Tenants: the ground's tables from the wrong tenant; all tables and verbs: tests/controls/data_protection."""

from __future__ import annotations

import contextlib
from uuid import UUID, uuid4

import psycopg
import pytest

from prodsprints.release import records
from prodsprints.store import leases
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres

TENANT_TABLES = (
    "projects", "environments", "releases", "release_steps", "release_events", "release_ticks", "leases", "tokens",
    "idempotency_keys",
)  # fmt: skip


@pytest.fixture
def other_tenant(database: Database) -> UUID:
    with database.dispatch() as connection:
        row = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"]
        ).fetchone()
    assert row is not None
    return row["id"]


@pytest.fixture
def full_tenant(database: Database, tenant: UUID) -> UUID:
    """A tenant with at least one row in every table."""
    environment = records.ensure_environment(
        database, tenant, project="shop", repository="/srv/shop", environment="production", node="n"
    )
    release = records.add(
        database,
        environment,
        id=uuid4(),
        kind="release",
        repository="/srv/shop",
        commit="a" * 40,
        label="v1",
        requested_by="somebody",
    )
    with database.tenant(tenant) as connection:
        connection.execute(
            "insert into release_steps (release_id, name, position, status) values (%s, 'audit', 1, 'done')",
            [release.id],
        )
        connection.execute(
            "insert into release_events (release_id, seq, step, kind, message) values (%s, 1, 'audit', 'line', 'x')",
            [release.id],
        )
        connection.execute("insert into release_ticks values (default, %s, 0, 1, 1, 1, 0, 1, 0)", [release.id])
        connection.execute(
            "insert into tokens (digest, purpose, actor, expires_at) values (%s, 'api', 'a', now() + interval '1 h')",
            [uuid4().bytes],
        )
        connection.execute("insert into idempotency_keys (key, fingerprint) values ('k', 'f')")
        leases.acquire(connection, tenant, environment.lease, "w")
    return tenant


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_another_tenant_sees_no_row(database: Database, full_tenant: UUID, other_tenant: UUID, table: str) -> None:
    count = f"select count(*) as n from {table}"
    with database.tenant(full_tenant) as connection:
        assert connection.execute(count.encode()).fetchone()["n"] >= 1
    with database.tenant(other_tenant) as connection:
        assert connection.execute(count.encode()).fetchone()["n"] == 0


@pytest.mark.parametrize("table", TENANT_TABLES)
@pytest.mark.parametrize("verb", ["update {table} set tenant_id = tenant_id", "delete from {table}"])
def test_another_tenant_changes_no_row(
    database: Database, full_tenant: UUID, other_tenant: UUID, table: str, verb: str
) -> None:
    # some verbs are not the tenant's at all: what is deleted softly is never deleted by one
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege), database.tenant(other_tenant) as connection:
        assert connection.execute(verb.format(table=table).encode()).rowcount == 0


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_no_row_can_be_given_to_another_tenant(
    database: Database, full_tenant: UUID, other_tenant: UUID, table: str
) -> None:
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
        database.tenant(full_tenant) as c,
    ):
        c.execute(f"update {table} set tenant_id = %s".encode(), [other_tenant])


def test_a_release_cannot_be_put_into_another_tenants_environment(
    database: Database, full_tenant: UUID, other_tenant: UUID
) -> None:
    [environment] = records.environments(database, full_tenant)
    with pytest.raises(psycopg.errors.ForeignKeyViolation), database.tenant(other_tenant) as connection:
        connection.execute(
            """
            insert into releases (environment_id, number, kind, repository, commit, label, requested_by, node)
            values (%s, 99, 'release', '/', %s, 'v', 'x', 'n')
            """,
            [environment.id, "b" * 40],
        )


def test_without_a_tenant_nothing_is_seen(database: Database, full_tenant: UUID) -> None:
    with database.tenant(full_tenant) as connection:
        connection.execute("select set_config('app.tenant', '', true)")
        for table in TENANT_TABLES:
            assert connection.execute(f"select count(*) as n from {table}".encode()).fetchone()["n"] == 0


def test_a_tenant_does_not_outlast_its_transaction(database: Database, full_tenant: UUID) -> None:
    with database.tenant(full_tenant):
        pass
    for _ in range(10):  # whichever pooled connection comes
        with database.auth() as connection:
            row = connection.execute(
                "select current_user::text as role, current_setting('app.tenant', true) as t"
            ).fetchone()
        assert row["role"] == "prodsprints_auth"
        assert not row["t"]


def test_the_workers_view_has_no_content(database: Database, full_tenant: UUID) -> None:
    for statement in ("select reason from releases", "select * from release_events", "select digest from tokens"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.dispatch() as connection:
            connection.execute(statement.encode())


def test_our_login_role_is_no_superuser_and_cannot_bypass_policies(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.address().conninfo) as connection:
        row = connection.execute("select rolsuper, rolbypassrls from pg_roles where rolname = current_user").fetchone()
        assert row == (False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from releases")


def test_a_login_that_inherits_our_roles_sees_no_row_before_it_becomes_one(
    postgres: EmbeddedPostgres, full_tenant: UUID
) -> None:
    """Before PostgreSQL 16 every login does."""
    role = f"heir_{uuid4().hex[:12]}"
    with psycopg.connect(postgres.admin_address().conninfo) as connection:
        connection.execute(f"create role {role} inherit".encode())
        connection.execute(f"grant prodsprints_tenant, prodsprints_dispatch, prodsprints_auth to {role}".encode())
        connection.execute(f"set local role {role}".encode())
        for table in ("tenants", *TENANT_TABLES):
            assert connection.execute(f"select from {table}".encode()).rowcount == 0, table
        connection.execute("set local role prodsprints_dispatch")
        assert connection.execute("select id from releases").rowcount > 0
        connection.rollback()
