"""Each drill of R010 holds, and fails without its control."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from prodsprints.drills import engine
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings


@pytest.mark.parametrize("drill", ["drills:silent_servers", "drills:dead_servers", "pin_drills:pinned_address"])
def test_the_drill_holds_and_its_placebo_breaks(drill: str, settings: Settings, tmp_path: Path) -> None:
    result = engine.run(
        f"prodsprints.controls.dns.{drill}",
        settings=settings,
        on_event=lambda _: None,
        directory=tmp_path,
        tenant=uuid4(),
        environment="demo",
    )
    assert result.outcome is Outcome.HELD, result.reason
