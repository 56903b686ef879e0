"""One drill, run where its author stands: no platform, no evidence, only what it would have shown."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from uuid import UUID

from prodsprints.drills import engine
from prodsprints.drills.engine import Event
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.settings import Settings


def main(entry: str) -> None:
    """Run it, print what both arms show, and exit: 0 if the control held, else 1."""
    try:
        with tempfile.TemporaryDirectory(prefix="prodsprints-drill-") as place:
            result = engine.run(
                entry,
                settings=Settings.from_environment(),
                on_event=_show,
                directory=Path(place),
                tenant=UUID(int=0),
                environment="demo",
            )
    except ProdSprintsError as error:
        sys.exit(str(error))
    _say(f"{result.outcome}: {result.reason}")
    for arm, output in result.output.items():
        if result.outcome is Outcome.NONE and output:
            _say(f"--- what the {arm} arm printed\n{output}")
    sys.exit(0 if result.outcome is Outcome.HELD else 1)


def _show(event: Event) -> None:
    if event.kind == "probe":
        mark = "✓" if event.data["holds"] else "✗"
        _say(f"{event.at:6.2f} s  {event.arm:<9}  {mark} {event.data['name']}: {event.data['words']}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
