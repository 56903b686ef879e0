"""The drill of R001.5 holds and fails without its control; and the worker reaches the very control that it drills."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from controls.providers.quotas.support_quotas import followed
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas import book, clerk, known
from prodsprints.controls.providers.quotas.keeper import QuotaKeeper
from prodsprints.drills import engine
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.register.load import load
from prodsprints.release.duties import Duties
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres
from support_waiting import eventually


def test_the_drill_holds_and_its_placebo_breaks(settings: Settings, postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    result = engine.run(
        "prodsprints.controls.providers.quotas.drills:ramp",
        settings=settings,
        on_event=lambda _: None,
        directory=tmp_path,
        tenant=uuid4(),
        environment="demo",
        admin=postgres.admin_address("postgres"),
    )
    assert result.outcome is Outcome.HELD, result.reason


def test_known_series_come_out_as_they_were_worked_out() -> None:
    assert known.wrong() == {}
    assert known.EXPECTED.keys() == known.said().keys()


def test_a_worker_drafts_what_is_due_and_tells_of_it(database: Database, tenant: UUID) -> None:
    quota = followed(database, tenant, [50.0 + day for day in range(45)])
    for _ in range(2):
        clerk.work(database, QuotaKeeper(database, {}))
        QuotaKeeper(database, {}).review(tenant, quota.id)
    assert book.requests(database, tenant, quota.id)[0].reaches is not None
    with database.tenant(tenant) as connection:
        told = connection.execute("select audience, severity, subject, body from notifications").fetchall()
    assert [(one["audience"], one["severity"]) for one in told] == [("#ops", "warning")]
    assert "seats: the limit is reached on" in told[0]["subject"] and "quotas send seats" in told[0]["body"]


def test_the_workers_duties_reach_the_control_of_the_row(
    database: Database, settings: Settings, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load().row("R001.5").control == f"{QuotaKeeper.__module__}:{QuotaKeeper.__name__}"
    monkeypatch.setattr(clerk, "_LOOK_SECONDS", 0.05)
    quota = followed(database, tenant, [50.0 + day for day in range(45)])
    duties = Duties(database, settings, "w", Guards())
    duties._quotas.start()
    try:
        eventually(lambda: book.requests(database, tenant, quota.id))
    finally:
        duties._quotas.stop()
        duties._quotas._thread.join(timeout=10)
