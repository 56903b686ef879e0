"""What is told by itself: a release that ends badly, a drill that breaks, an incident; by what records it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from prodsprints import incidents
from prodsprints.drills import runs
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.notify import outbox
from prodsprints.release import records
from prodsprints.release.records import Release
from prodsprints.store.database import Database


def told(database: Database, tenant: UUID) -> list[tuple[str, str, str]]:
    found = outbox.notifications(database, tenant)
    return [(one.audience, one.severity, one.subject) for one in reversed(found)]


@pytest.fixture
def release(database: Database, tenant: UUID) -> Release:
    environment = records.ensure_environment(
        database, tenant, project="shop", repository="/srv/shop", environment="production", node="n"
    )
    return records.add(
        database,
        environment,
        id=uuid4(),
        kind="release",
        repository="/srv/shop",
        commit="a" * 40,
        label="v1",
        requested_by="ada",
    )


@pytest.mark.parametrize(
    ("status", "told_as"),
    [
        ("rolled_back", ("critical", "The release of shop v1 to production was rolled back")),
        ("failed", ("critical", "The release of shop v1 to production failed")),
        ("refused", ("warning", "The release of shop v1 to production was refused")),
        ("released", None),
        ("aborted", None),
    ],
)
def test_a_release_that_ends_badly_is_told_once(
    database: Database, tenant: UUID, release: Release, status: records.Status, told_as: tuple[str, str] | None
) -> None:
    for _ in range(2):
        records.finish(
            database, release, status=status, reason="v1 \x1b[31merred\n", figures={}, serves=False, fencing_token=None
        )
    assert told(database, tenant) == ([("#ops", *told_as)] if told_as else [])


def test_a_worker_that_lost_its_release_tells_nothing(database: Database, tenant: UUID, release: Release) -> None:
    records.finish(database, release, status="failed", reason="", figures={}, serves=False, fencing_token=7)
    assert told(database, tenant) == []


def test_a_drill_is_told_when_it_breaks_and_not_each_day_that_it_is_broken(database: Database, tenant: UUID) -> None:
    def ends(outcome: Outcome) -> None:
        id = uuid4()
        about = {"row": "R001.1", "variant": "storm", "environment": "demo"}
        runs.request_run(database, tenant, actor="ada", id=id, **about)
        with database.tenant(tenant) as connection:
            connection.execute("update drill_runs set status = 'running', worker = 'w' where id = %s", [id])
        assert runs.finish(database, tenant, id, worker="w", outcome=outcome, reason="It broke.")

    outcomes = [Outcome.HELD, Outcome.FAILED, Outcome.FAILED, Outcome.NONE, Outcome.FAILED, Outcome.HELD]
    for outcome in (*outcomes, Outcome.INVALID):
        ends(outcome)
    assert told(database, tenant) == [
        ("#ops", "critical", "R001.1 is failing in demo"),
        ("#ops", "critical", "R001.1 is invalid in demo"),
    ]


@pytest.mark.parametrize(("security", "audience"), [(False, "#ops"), (True, "#security")])
def test_an_incident_is_told_when_it_is_declared(
    database: Database, tenant: UUID, settings: Settings, security: bool, audience: str
) -> None:
    ledger = Ledger(database, tenant, Keyring.open(settings.home))
    said = {"risk": "R001", "environment": "demo", "title": "Throttled", "what_happened": "All stood still."}
    known = {"R001": ["R001.1"]}
    declared = incidents.declare(database, ledger, id=uuid4(), known=known, actor="ada", security=security, **said)
    incidents.close(database, ledger, declared.id, id=uuid4(), outcome="Over.", actor="ada")
    assert told(database, tenant) == [(audience, "critical", "R001 happened in demo: Throttled")]
