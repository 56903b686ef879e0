"""Deleting a project and bringing it back, as the database and the control hold it."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from prodsprints.controls.backups.errors import NoSuchProjectError, ProjectDeletedError, ReleaseUnderWayError
from prodsprints.controls.backups.soft_delete import SoftDelete
from prodsprints.drills import engine, mutation
from prodsprints.drills.catalog import Catalog
from prodsprints.drills.mutation_report import Fate
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.release import dispatch, progress, records, requests
from prodsprints.release.records import Environment, Release
from prodsprints.release.verdict import Tick
from prodsprints.store import leases
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres

TABLES = ("projects", "environments", "releases", "release_steps", "release_events", "release_ticks")


@pytest.fixture
def shop(database: Database, tenant: UUID) -> Environment:
    return environment(database, tenant)


def environment(database: Database, tenant: UUID, project: str = "shop", name: str = "production") -> Environment:
    return records.ensure_environment(
        database, tenant, project=project, repository=f"/srv/{project}", environment=name, node=f"n-{tenant}"
    )


def release(database: Database, environment: Environment, label: str = "v1", digit: str = "a") -> Release:
    return records.add(
        database,
        environment,
        id=uuid4(),
        kind="release",
        repository=environment.repository,
        commit=digit * 40,
        label=label,
        digest=f"sha256:{digit * 64}",
        requested_by="ada",
    )


def kept(database: Database, environment: Environment, label: str = "v1", digit: str = "a") -> Release:
    """A release as it looks long after it was kept: with a step, lines, ticks, and served."""
    made = release(database, environment, label, digit)
    resource = environment.lease
    with database.tenant(environment.tenant_id) as connection:
        lease = leases.acquire(connection, environment.tenant_id, resource, "w")
        assert lease is not None
    held = [environment.tenant_id, made.id, resource, "w", lease.fencing_token]
    database.once("select begin_step(%s, %s, %s, %s, %s, 'audit', 1, '[]')", held)
    lines = '[{"seq": 1, "at": "2026-01-01T00:00:00Z", "step": "audit", "kind": "line", "message": "x", "data": {}}]'
    database.once("select end_step(%s, %s, %s, %s, %s, 'audit', 'done', 'x', '{}', %s)", [*held, lines])
    tick = Tick(1.0, 5, 90, 0, 10, 1)
    progress.add_tick(database, environment.tenant_id, made.id, 1, tick, fencing_token=None)
    records.finish(
        database, made, status="released", reason="Good.", figures={}, serves=True, fencing_token=None, port=18000
    )
    dispatch.let_go(database, environment.tenant_id, resource=resource, worker="w", fencing_token=lease.fencing_token)
    return made


def rows(database: Database, tenant: UUID) -> dict[str, set[str]]:
    """Every row of the tenant's projects as text, deleted or not."""
    with database.tenant(tenant) as connection:
        connection.execute("select show_deleted()")
        return {
            table: {row["row"] for row in connection.execute(f"select t::text as row from {table} t".encode())}
            for table in TABLES
        }


def test_a_deleted_project_is_seen_nowhere_and_not_a_row_of_it_is_gone(
    database: Database, tenant: UUID, shop: Environment
) -> None:
    served = kept(database, shop)
    before = rows(database, tenant)
    deleted = SoftDelete(database).delete(tenant, "shop", actor="ada")
    assert records.environments(database, tenant) == []
    assert records.environment(database, tenant, shop.id) is None
    assert records.releases(database, tenant) == []
    assert records.get(database, tenant, served.id) is None
    assert records.serving(database, tenant) == {}
    assert deleted.environments == ("production",)
    assert deleted.deleted_by == "ada"
    assert deleted.kept_until - deleted.deleted_at == timedelta(days=30)
    assert [one.name for one in SoftDelete(database).deleted(tenant)] == ["shop"]
    after = rows(database, tenant)
    assert all(after[table] == before[table] for table in TABLES if table != "projects")


def test_an_undeleted_project_is_as_it_was_and_what_it_served_is_queued_to_serve_again(
    database: Database, tenant: UUID, shop: Environment
) -> None:
    kept(database, shop, "v1", "a")
    second = kept(database, shop, "v2", "b")
    back = requests.request_rollback(
        database, actor="ada", environment=records.environments(database, tenant)[0], id=uuid4()
    )
    records.finish(database, back, status="released", reason="", figures={}, serves=True, fencing_token=None)
    before = rows(database, tenant)
    control = SoftDelete(database)
    control.delete(tenant, "shop", actor="ada")
    [restoring] = control.undelete(tenant, "shop", actor="bob")
    after = rows(database, tenant)
    assert all(before[table] <= after[table] for table in TABLES)
    assert sum(map(len, after.values())) == sum(map(len, before.values())) + 1
    found = records.get(database, tenant, restoring)
    assert found is not None
    assert (found.kind, found.status, found.label, found.digest) == ("rollback", "queued", "v1", back.digest)
    assert found.options == back.options
    assert found.requested_by == "bob"
    assert found.number == second.number + 2
    assert control.undelete(tenant, "shop", actor="bob") == [restoring]
    assert sum(map(len, rows(database, tenant).values())) == sum(map(len, after.values()))


def test_deleting_again_changes_nothing(database: Database, tenant: UUID, shop: Environment) -> None:
    first = SoftDelete(database).delete(tenant, "shop", actor="ada")
    assert SoftDelete(database).delete(tenant, "shop", actor="bob") == first


def test_a_project_that_never_served_comes_back_without_a_release(
    database: Database, tenant: UUID, shop: Environment
) -> None:
    SoftDelete(database).delete(tenant, "shop", actor="ada")
    assert SoftDelete(database).undelete(tenant, "shop", actor="ada") == []
    assert records.environments(database, tenant) == [shop]


@pytest.mark.parametrize("act", ["delete", "undelete"])
def test_what_was_never_there_is_not_deleted_and_does_not_come_back(database: Database, tenant: UUID, act: str) -> None:
    with pytest.raises(NoSuchProjectError, match="no project shop"):
        getattr(SoftDelete(database), act)(tenant, "shop", actor="ada")


def test_a_project_with_a_release_under_way_is_not_deleted(database: Database, tenant: UUID, shop: Environment) -> None:
    release(database, shop)
    with pytest.raises(ReleaseUnderWayError, match="prodsprints abort"):
        SoftDelete(database).delete(tenant, "shop", actor="ada")
    assert records.environments(database, tenant) == [shop]


def test_nothing_is_released_to_a_deleted_project_and_nothing_takes_its_name(
    database: Database, tenant: UUID, shop: Environment
) -> None:
    SoftDelete(database).delete(tenant, "shop", actor="ada")
    for begin in (lambda: release(database, shop), lambda: environment(database, tenant)):
        with pytest.raises(ProjectDeletedError, match=r"ada deleted it .*prodsprints project undelete shop"):
            begin()


def test_the_database_itself_refuses_a_release_to_a_deleted_project(
    database: Database, tenant: UUID, shop: Environment
) -> None:
    SoftDelete(database).delete(tenant, "shop", actor="ada")
    with pytest.raises(psycopg.errors.RestrictViolation), database.tenant(tenant) as connection:
        connection.execute(
            """
            insert into releases (environment_id, number, kind, repository, commit, label, requested_by, node)
            values (%s, 99, 'release', '/', %s, 'v', 'x', 'n')
            """,
            [shop.id, "b" * 40],
        )


@pytest.mark.parametrize("table", TABLES)
def test_no_tenant_can_delete_for_good(database: Database, tenant: UUID, shop: Environment, table: str) -> None:
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"),
        database.tenant(tenant) as connection,
    ):
        connection.execute(f"delete from {table}".encode())


def test_a_release_and_a_deletion_at_the_same_moment_do_not_both_happen(database: Database, tenant: UUID) -> None:
    for number in range(20):
        place = environment(database, tenant, f"shop-{number}")
        begun = threading.Barrier(2)
        outcomes: list[str] = []

        def add(place: Environment = place, begun: threading.Barrier = begun, outcomes: list[str] = outcomes) -> None:
            begun.wait()
            try:
                release(database, place)
            except ProjectDeletedError:
                return
            outcomes.append("released")

        thread = threading.Thread(target=add)
        thread.start()
        begun.wait()
        try:
            SoftDelete(database).delete(tenant, place.project, actor="ada")
        except ReleaseUnderWayError:
            pass
        else:
            outcomes.append("deleted")
        thread.join()
        assert len(outcomes) == 1, place.project


def test_another_tenants_project_of_that_name_is_not_touched(
    database: Database, tenant: UUID, shop: Environment
) -> None:
    with database.dispatch() as connection:
        row = connection.execute("insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"])
        other = row.fetchone()["id"]
    theirs = environment(database, other)
    SoftDelete(database).delete(tenant, "shop", actor="ada")
    assert records.environments(database, other) == [theirs]
    assert SoftDelete(database).deleted(other) == []


def test_one_worker_takes_a_deleted_projects_environment_out_of_service(
    database: Database, tenant: UUID, shop: Environment
) -> None:
    control = SoftDelete(database)
    assert dispatch.claim_withdrawal(database, worker="w1", node=shop.node) is None
    assert not control.delete(tenant, "shop", actor="ada").withdrawn
    claim = dispatch.claim_withdrawal(database, worker="w1", node=shop.node)
    assert claim is not None
    assert claim.environment_id == shop.id
    assert dispatch.claim_withdrawal(database, worker="w2", node=shop.node) is None
    found = records.to_withdraw(database, tenant, shop.id)
    assert found == shop
    records.set_withdrawn(database, found)
    assert control.delete(tenant, "shop", actor="ada").withdrawn
    dispatch.let_go(database, tenant, resource=shop.lease, worker="w1", fencing_token=claim.fencing_token)
    assert dispatch.claim_withdrawal(database, worker="w2", node=shop.node) is None


def test_what_was_undeleted_meanwhile_is_not_taken_out_of_service(
    database: Database, tenant: UUID, shop: Environment
) -> None:
    control = SoftDelete(database)
    control.delete(tenant, "shop", actor="ada")
    control.undelete(tenant, "shop", actor="ada")
    assert records.to_withdraw(database, tenant, shop.id) is None
    records.set_withdrawn(database, shop)
    assert not control.delete(tenant, "shop", actor="ada").withdrawn


ENTRY = "prodsprints.controls.backups.drills:project_deleted"


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
    assert result.measured["data_lost"] == 0
    assert result.placebo is not None
    assert result.placebo.measured["data_lost"] > 0


def test_an_undelete_that_forgets_what_was_served_is_caught_by_the_drill(
    settings: Settings, postgres: EmbeddedPostgres
) -> None:
    drill = Catalog.of({"O005.4": (ENTRY,)}).drills("O005.4")
    report = mutation.mutate("O005.4", drill, settings=settings, admin=postgres.admin_address(), most=0)
    assert report.patch is not None
    assert report.patch.fate is Fate.CAUGHT, report.patch.why


def test_an_undeleted_environment_does_not_claim_to_serve_before_it_does(
    database: Database, tenant: UUID, shop: Environment
) -> None:
    kept(database, shop)
    control = SoftDelete(database)
    control.delete(tenant, "shop", actor="ada")
    records.set_withdrawn(database, shop)
    [restoring] = control.undelete(tenant, "shop", actor="ada")
    [back] = records.environments(database, tenant)
    assert back.withdrawn
    release = records.get(database, tenant, restoring)
    assert release is not None
    records.finish(database, release, status="released", reason="", figures={}, serves=True, fencing_token=None)
    [back] = records.environments(database, tenant)
    assert not back.withdrawn
