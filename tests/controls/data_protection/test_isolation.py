"""Tenants kept apart: every table of the schema as it is, every way to make it leak, and what is refused then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from prodsprints.cli.running.database import bring_up_to_date
from prodsprints.controls.data_protection import drills, isolation
from prodsprints.controls.data_protection.errors import NotIsolatedError
from prodsprints.drills import engine, mutation
from prodsprints.drills.catalog import Catalog
from prodsprints.drills.mutation_report import Fate
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.store import migrate, scratch
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres

ENTRY = "prodsprints.controls.data_protection.drills:tenants"
PLATFORMS = [
    "workers",
    "fleet_workers",
    "fleet_buckets",
    "fleet_acts",
    "fleet_breakers",
    "fleet_budgets",
    "guard_sightings",
]


@pytest.fixture
def leaky(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The schema's owner, in a transaction that is taken back."""
    with psycopg.connect(postgres.admin_address().conninfo) as connection:
        yield connection
        connection.rollback()


def test_every_table_of_tenants_has_row_level_security_and_has_it_forced(database: Database) -> None:
    with database.dispatch() as connection:
        rows = connection.execute(
            """
            select c.relname, c.relrowsecurity and c.relforcerowsecurity as bound from pg_class c
            where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
              and c.relname <> 'alembic_version' and c.relname <> all (%s)
            """,
            [PLATFORMS],
        ).fetchall()
    assert len(rows) > 20
    assert [row["relname"] for row in rows if not row["bound"]] == []


def test_every_table_of_tenants_says_whose_its_rows_are(database: Database) -> None:
    with database.dispatch() as connection:
        rows = connection.execute(
            """
            select c.relname from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
              and c.relname not in ('alembic_version', 'tenants') and c.relname <> all (%s) and not exists (
                select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnotnull)
            """,
            [PLATFORMS],
        ).fetchall()
    assert rows == []


def test_no_tenant_reaches_what_is_the_platforms_own(database: Database) -> None:
    with database.dispatch() as connection:
        rows = connection.execute(
            """
            select name from unnest(%s::text[]) as name
            where has_table_privilege('prodsprints_tenant', name, 'select, insert, update, delete, truncate')
               or has_any_column_privilege('prodsprints_tenant', name, 'select, insert, update')
            """,
            [PLATFORMS],
        ).fetchall()
    assert rows == []


def test_the_schema_as_it_is_has_no_gap(leaky: psycopg.Connection[tuple[object, ...]]) -> None:
    assert isolation.gaps(leaky) == ()


@pytest.mark.parametrize(("statement", "place", "gap"), drills.LEAKS)
def test_a_way_to_make_the_schema_leak_is_found(
    statement: str, place: str, gap: str, leaky: psycopg.Connection[tuple[object, ...]]
) -> None:
    leaky.execute(statement.encode())
    assert [one for one in isolation.gaps(leaky) if one.place == place and gap in one.gap]


@pytest.mark.parametrize(
    ("statement", "gap"),
    [
        ("alter role prodsprints_auth bypassrls", "no policy binds it"),
        ("grant pg_read_all_data to prodsprints_auth", "it has the rights of pg_read_all_data too"),
    ],
)
def test_a_role_that_no_policy_binds_is_found(
    statement: str, gap: str, leaky: psycopg.Connection[tuple[object, ...]]
) -> None:
    leaky.execute(statement.encode())
    assert isolation.Gap("prodsprints_auth", gap) in isolation.gaps(leaky)


def test_a_new_table_of_tenants_without_a_policy_is_found_before_anybody_may_read_it(
    leaky: psycopg.Connection[tuple[object, ...]],
) -> None:
    leaky.execute("create table notes (tenant_id uuid not null, note text)")
    assert {one.place for one in isolation.gaps(leaky)} == {"notes"}


def test_what_others_keep_in_the_same_database_is_none_of_our_business(
    leaky: psycopg.Connection[tuple[object, ...]],
) -> None:
    leaky.execute("create role somebody_else")
    leaky.execute("create table theirs (note text)")
    leaky.execute("alter table theirs owner to somebody_else")
    leaky.execute("grant select on theirs to public")
    assert isolation.gaps(leaky) == ()


def test_a_database_that_would_not_keep_tenants_apart_is_not_started(
    settings: Settings, postgres: EmbeddedPostgres
) -> None:
    with psycopg.connect(postgres.admin_address().conninfo, autocommit=True) as connection:
        connection.execute("alter table contacts no force row level security")
        try:
            with pytest.raises(NotIsolatedError, match=r"contacts: its row-level security is not forced.*RUNBOOK.md"):
                bring_up_to_date(settings)
        finally:
            connection.execute("alter table contacts force row level security")
    bring_up_to_date(settings)


def test_a_scratch_database_is_owned_by_nobody_special_and_leaves_nothing(postgres: EmbeddedPostgres) -> None:
    admin = postgres.admin_address()
    with scratch.database(admin) as address:
        with psycopg.connect(address.conninfo) as connection:
            row = connection.execute(
                "select rolsuper or rolbypassrls, tableowner = current_user from pg_roles, pg_tables"
                " where rolname = current_user and tablename = 'projects'"
            ).fetchone()
            assert row == (False, True)
        name = address.parts()["dbname"]
    with psycopg.connect(admin.conninfo) as connection:
        left = connection.execute(
            "select datname from pg_database where datname = %s union select rolname from pg_roles where rolname = %s",
            [name, name],
        ).fetchall()
    assert left == []


def test_scratch_databases_of_the_killed_are_removed_by_the_next(postgres: EmbeddedPostgres) -> None:
    admin = postgres.admin_address()
    forgotten = f"scratch_1_{uuid4().hex[:12]}"
    with psycopg.connect(admin.conninfo, autocommit=True) as connection:
        connection.execute(f"create role {forgotten}".encode())
        connection.execute(f"create database {forgotten} owner {forgotten}".encode())
        with scratch.database(admin):
            pass
        assert not connection.execute("select from pg_roles where rolname = %s", [forgotten]).fetchall()


def test_the_evidence_is_bound_to_every_revision_of_the_schema() -> None:
    revisions = Path(migrate.__file__).parent / "migrations" / "versions"
    bound = {source.partition(":")[2] for source in drills.tenants.sources}
    assert {path.name for path in revisions.glob("*.sql")} <= bound
    assert "isolation.sql" in bound


def test_the_drill_holds_and_its_placebo_breaks(settings: Settings, postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    result = engine.run(
        ENTRY,
        settings=settings,
        on_event=lambda _: None,
        directory=tmp_path,
        tenant=UUID(int=0),
        environment="demo",
        admin=postgres.admin_address(),
    )
    assert result.outcome is Outcome.HELD, result.reason


def test_a_policy_that_lets_every_tenant_see_all_is_caught_by_the_drill(
    settings: Settings, postgres: EmbeddedPostgres
) -> None:
    drill = Catalog.of({"S004.2": (ENTRY,)}).drills("S004.2")
    report = mutation.mutate("S004.2", drill, settings=settings, admin=postgres.admin_address(), most=0)
    assert report.patch is not None
    assert report.patch.fate is Fate.CAUGHT, report.patch.why


def test_without_a_server_for_scratch_databases_the_drill_says_so(settings: Settings, tmp_path: Path) -> None:
    result = engine.run(
        ENTRY,
        settings=replace(settings, admin_database_url=None),
        on_event=lambda _: None,
        directory=tmp_path,
        tenant=UUID(int=0),
        environment="demo",
    )
    assert result.outcome is Outcome.NONE
    assert "no PostgreSQL role that may create databases" in result.reason
