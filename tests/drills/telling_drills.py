"""A drill that says all that it was told: what must not come out of it is tested."""

from __future__ import annotations

import sys
from dataclasses import replace

from example_drills import Asking, Echo, resets

from prodsprints.drills.experiment import Observation, Probe, broke
from prodsprints.drills.stage import Stage


def _tell(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    admin = stage.admin.parts()["password"] if stage.admin else ""
    sys.stdout.write(f"told {admin} {stage.settings.database_url}\n")
    stage.sample(True, 0.001, admin)
    return broke(f"it was told {admin} and {stage.settings.database_url}")


tells = replace(resets, probes=(Probe(resets.named, _tell),))
