"""Each drill of the status page holds, and fails on a page that somebody writes by hand."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from prodsprints.controls.integrations import parts
from prodsprints.controls.integrations.monitor import Monitor
from prodsprints.controls.providers.guards import Guards
from prodsprints.drills import engine
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.release.duties import Duties
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres


@pytest.mark.parametrize("drill", ["service_killed", "service_fails", "service_hangs"])
def test_the_drill_holds_and_its_placebo_breaks(
    drill: str, settings: Settings, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    result = engine.run(
        f"prodsprints.controls.integrations.status_drills:{drill}",
        settings=settings,
        admin=postgres.admin_address(),
        on_event=lambda _: None,
        directory=tmp_path,
        tenant=uuid4(),
        environment="demo",
    )
    assert result.outcome is Outcome.HELD, result.reason


def test_a_worker_has_the_monitor_and_looks_at_every_part(database: Database, settings: Settings) -> None:
    monitor = Duties(database, settings, "a-worker", Guards())._monitor
    assert isinstance(monitor, Monitor)
    assert monitor._own.keys() == parts.NAMES.keys()
