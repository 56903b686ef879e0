"""Each drill of R001 holds, and fails without its control."""

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
        "drills:throttling_storm",
        "drills:thundering_herd",
        "limit_drills:whole_fleet",
        "limit_drills:store_down",
        "limit_drills:worker_killed",
        "circuit_drills:dead_provider",
        "key_drills:two_of_three",
        "key_drills:shared_scope",
    ],
)
def test_the_drill_holds_and_its_placebo_breaks(
    drill: str, settings: Settings, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    result = engine.run(
        f"prodsprints.controls.providers.{drill}",
        settings=settings,
        on_event=lambda _: None,
        directory=tmp_path,
        tenant=uuid4(),
        environment="demo",
        admin=postgres.admin_address("postgres"),
    )
    assert result.outcome is Outcome.HELD, result.reason
