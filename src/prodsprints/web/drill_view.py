"""What a drill has shown so far, arm by arm, put together from its events, for the API and the pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prodsprints.drills.arms import Ending, Listening, Look, Sample
from prodsprints.drills.stage import Arm


@dataclass(frozen=True)
class ArmView:
    """One arm so far; moments are in seconds since it began. `ending` is None while it is played."""

    arm: Arm
    phases: tuple[tuple[str, float], ...] = ()
    looks: tuple[Look, ...] = ()
    samples: tuple[Sample, ...] = ()
    fault_began: float | None = None
    fault_ended: float | None = None
    ending: Ending | None = None
    broken: str = ""
    seconds: float = 0.0

    @property
    def phase(self) -> str:
        """The phase it is in; empty before it began and after it ended."""
        return self.phases[-1][0] if self.phases and self.ending is None else ""

    @property
    def calls_broken(self) -> int:
        """How many of the subject's calls broke."""
        return sum(not sample.ok for sample in self.samples)


def arm(arm: Arm, events: Iterable[Mapping[str, Any]]) -> ArmView:
    """What the events of one arm add up to."""
    ...
