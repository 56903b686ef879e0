"""What a drill has shown so far, arm by arm, put together from its events, for the API and the pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from prodsprints.drills.arms import Ending, Group, Listening, Look, Sample
from prodsprints.drills.stage import Arm
from prodsprints.kernel import clock

PHASES = ("stand", "steady", "fault", "probes", "after")
_SHOWN_AS = {"import": "stand", "stand": "stand", "subject": "stand", "inject": "fault"}


class Event(Protocol):
    """One event of a run, as `drills.runs` keeps it."""

    @property
    def arm(self) -> str:
        """`treatment`, `placebo`, or empty for the run itself."""

    @property
    def at(self) -> float:
        """In seconds since its arm began."""

    @property
    def kind(self) -> str:
        """What happened."""

    @property
    def data(self) -> Mapping[str, Any]:
        """What there is to say about it."""


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
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def phase(self) -> str:
        """The phase it is in; empty before it began and after it ended."""
        return self.phases[-1][0] if self.phases and self.ending is None else ""

    @property
    def calls_broken(self) -> int:
        """How many of the subject's calls broke."""
        return sum(not sample.ok for sample in self.samples)

    @property
    def is_unsteady(self) -> bool:
        """Something was broken before the fault."""
        return any(look.group is Group.STEADY and not look.holds for look in self.looks)


def arms(events: Iterable[Event]) -> tuple[ArmView, ArmView]:
    """Both arms, the one with the control first."""
    by_arm: dict[str, list[Event]] = {arm: [] for arm in Arm}
    for event in events:
        by_arm.get(event.arm, []).append(event)
    return _view(Arm.TREATMENT, by_arm[Arm.TREATMENT]), _view(Arm.PLACEBO, by_arm[Arm.PLACEBO])


def _view(arm: Arm, events: list[Event]) -> ArmView:
    listening = Listening(arm, clock.now())
    phases: list[tuple[str, float]] = []
    for event in events:
        listening.take({**event.data, "kind": event.kind, "at": event.at})
        if event.kind == "phase":
            name = _SHOWN_AS.get(event.data["name"], event.data["name"])
            if name in PHASES and name not in {known for known, _ in phases}:
                phases.append((name, event.at))
    return ArmView(
        arm,
        tuple(phases),
        tuple(listening.looks),
        tuple(listening.samples),
        listening.fault_began,
        listening.fault_ended,
        Ending.BROKEN if listening.broken else listening.ending,
        "; ".join(listening.broken),
        max((event.at for event in events), default=0.0),
        listening.measured,
    )
