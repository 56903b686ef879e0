"""Runs the example drills with the real engine, in processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from prodsprints.drills import engine
from prodsprints.drills.engine import Event, Result
from prodsprints.kernel.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))  # where arms, in processes of their own, find the experiments

Play = Callable[[str], Result]
TENANT = UUID(int=7)


@pytest.fixture
def told() -> list[Event]:
    """What a run told while it ran."""
    return []


@pytest.fixture
def play(tmp_path: Path, told: list[Event]) -> Play:
    """Runs the drill of that name; nothing of it is left in its directory."""

    def run(entry: str) -> Result:
        place = tmp_path / "drill"
        place.mkdir(exist_ok=True)
        result = engine.run(
            entry,
            settings=Settings.from_environment({"PRODSPRINTS_HOME": str(tmp_path)}),
            on_event=told.append,
            directory=place,
            tenant=TENANT,
            environment="demo",
        )
        assert list(place.iterdir()) == []
        return result

    return run
