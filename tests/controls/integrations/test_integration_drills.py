"""Each drill of R008 holds, and fails without its control."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from prodsprints.drills import engine
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.store.embedded import EmbeddedPostgres


@pytest.mark.parametrize(
    "drill",
    [
        *("drills:service_fails", "drills:service_dies"),
        *("mirror_drills:host_dies", "mirror_drills:host_hangs", "mirror_drills:host_trickles"),
        *("outage_drills:services_hang", "outage_drills:services_are_gone", "outage_drills:services_fail"),
    ],
)
def test_the_drill_holds_and_its_placebo_breaks(
    drill: str, settings: Settings, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    result = engine.run(
        f"prodsprints.controls.integrations.{drill}",
        settings=settings,
        on_event=lambda _: None,
        directory=tmp_path,
        tenant=uuid4(),
        environment="demo",
        admin=postgres.admin_address("postgres"),
    )
    assert result.outcome is Outcome.HELD, result.reason
