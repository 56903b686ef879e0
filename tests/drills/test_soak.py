"""Every drill of the register, round after round: `make drills-soak` asks for ten."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from uuid import UUID

import pytest

from prodsprints.bench.scratch import Scratch, scratch
from prodsprints.drills import engine
from prodsprints.drills.catalog import Catalog, Drill
from prodsprints.drills.verdict import Outcome
from prodsprints.register.load import load

ROUNDS = int(os.environ.get("PRODSPRINTS_SOAK_ROUNDS", "0"))
DRILLS = Catalog.of({row.id: row.drills for risk in load().risks for row in risk.mitigations}).all() if ROUNDS else ()
SLOWEST_MEDIAN_SECONDS = 20.0


@pytest.fixture(scope="module")
def place() -> Iterator[Scratch]:
    with scratch() as made:
        yield made


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.entry.rpartition(".")[2])
def test_a_drill_holds_in_every_round(drill: Drill, place: Scratch, tmp_path: Path) -> None:
    took = []
    for number in range(ROUNDS):
        began = time.monotonic()
        result = engine.run(
            drill.entry,
            settings=place.settings,
            on_event=lambda _: None,
            directory=tmp_path / str(number),
            tenant=UUID(int=0),
            environment="demo",
            admin=place.postgres.admin_address("postgres"),
        )
        took.append(time.monotonic() - began)
        assert result.outcome is Outcome.HELD, f"round {number + 1}: {result.reason}\n{dict(result.output)}"
    what = f"{drill.experiment.row} {drill.experiment.variant}"
    print(f"{what}: {ROUNDS} rounds held, median {median(took):.1f} s, max {max(took):.1f} s")  # noqa: T201 - shown
    assert median(took) <= SLOWEST_MEDIAN_SECONDS
