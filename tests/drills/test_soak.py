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
from prodsprints.drills.engine import Result
from prodsprints.drills.verdict import Outcome
from prodsprints.register.load import load

ROUNDS = int(os.environ.get("PRODSPRINTS_SOAK_ROUNDS", "0"))
DRILLS = Catalog.of({row.id: row.drills for risk in load().risks for row in risk.mitigations}).all() if ROUNDS else ()
SLOWEST_MEDIAN_SECONDS = 20.0


@pytest.fixture(scope="module")
def place() -> Iterator[Scratch]:
    with scratch() as made:
        yield made


@pytest.mark.skipif(ROUNDS == 0, reason="make drills-soak")
@pytest.mark.timeout(7200)
def test_every_drill_holds_in_every_round(place: Scratch, tmp_path: Path) -> None:
    took: dict[str, list[float]] = {}
    failed = []
    for number in range(1, ROUNDS + 1):
        for drill in DRILLS:
            what = f"{drill.experiment.row} {drill.experiment.variant}"
            began = time.monotonic()
            result = _run(drill, place, tmp_path / f"{number}-{what}")
            took.setdefault(what, []).append(time.monotonic() - began)
            if result.outcome is not Outcome.HELD:
                failed.append(f"round {number}, {what}: {result.reason}\n{dict(result.output)}")
    for what, seconds in took.items():
        print(f"{what}: median {median(seconds):.1f} s, max {max(seconds):.1f} s")  # noqa: T201 - by `make drills-soak`
    assert not failed, "\n".join(failed)
    assert all(median(seconds) <= SLOWEST_MEDIAN_SECONDS for seconds in took.values())


def _run(drill: Drill, place: Scratch, directory: Path) -> Result:
    return engine.run(
        drill.entry,
        settings=place.settings,
        on_event=lambda _: None,
        directory=directory,
        tenant=UUID(int=0),
        environment="demo",
        admin=place.postgres.admin_address("postgres"),
    )
