"""Each drill of the status page holds, and fails on a page that somebody writes by hand."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from prodsprints.drills import engine
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
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
