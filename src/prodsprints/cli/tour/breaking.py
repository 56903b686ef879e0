"""The part of the tour that breaks things: five drills are watched, the others run behind or are waited for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from prodsprints.cli import drilling
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform

Json = dict[str, Any]

ENVIRONMENT = "demo"
"""What the tour proves, it proves here and nowhere else."""

_WATCHED = ("R001.1", "R008.5", "S003.4", "O005.4", "S004.2")
_LOOK_SECONDS = 0.3
_LONGEST_SECONDS = 600.0


@dataclass
class Drills:
    """How the drills ended: the control held, or it did not; and how often the bare peer broke, as it must."""

    passed: int = 0
    failed: int = 0
    placebo_failed_as_it_must: int = 0

    def count(self, run: Json) -> None:
        """Add a run that has ended."""
        if run["outcome"] == "held":
            self.passed += 1
        else:
            self.failed += 1
        # held and failed are verdicts only beside a placebo that broke
        self.placebo_failed_as_it_must += run["outcome"] in {"held", "failed"}


def play(platform: Platform, out: Output, *, wait_for_all: bool) -> Drills:
    """Run the drills of five rows one after the other, then ask for every other one."""
    drills = Drills()
    offered = [drill for drill in platform.get("/drills")["items"] if drill.get("variant")]
    watched = [_of(offered, row) for row in _WATCHED]
    first = [drill for drill in watched if drill is not None]
    for drill in first:
        drills.count(_watch(platform, out, drill))
    behind = [_ask(platform, drill) for drill in offered if drill not in first]
    if not behind:
        return drills
    out.tell(Text(f"  {len(behind)} more run behind: {platform.address}/drills", style="dim"))
    if wait_for_all:
        for run in behind:
            ended = _ended(platform, run["id"])
            drills.count(ended)
            out.tell(_line(ended))
    return drills


def _of(offered: list[Json], row: str) -> Json | None:
    return next((drill for drill in offered if drill["row"] == row), None)


def _ask(platform: Platform, drill: Json) -> Json:
    return platform.post(f"/drills/{drill['row']}/runs", {"environment": ENVIRONMENT, "variant": drill["variant"]})


def _watch(platform: Platform, out: Output, drill: Json) -> Json:
    run = _ask(platform, drill)
    out.tell(Text.assemble((f"{drill['row']} ", "bold"), drill["title"], (f": {drill['fault']}", "dim")))
    for line in drilling.lines(platform, run):
        line.truncate(out.stage.width, overflow="ellipsis")  # the page has every word
        out.tell(line)
    ended: Json = platform.get(f"/drill-runs/{run['id']}")
    out.tell(_line(ended))
    return ended


def _ended(platform: Platform, run_id: str) -> Json:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while True:
        run: Json = platform.get(f"/drill-runs/{run_id}")
        if run["status"] == "ended" or time.monotonic() > deadline:
            return run
        time.sleep(_LOOK_SECONDS)


def _line(run: Json) -> Text:
    held = run["outcome"] == "held"
    mark = ("✓ ", "green") if held else ("✗ ", "red")
    words = str(run["reason"]) if not held else _words(run)
    return Text.assemble("  ", mark, (f"{run['row']} {run['variant']} ", "bold"), words)


def _words(run: Json) -> str:
    return f"held; without the control it broke. Evidence: entry {run['evidence_index']}."
