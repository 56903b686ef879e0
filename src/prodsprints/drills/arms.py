"""What one arm showed, as it was told by the process that played it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from prodsprints.drills.stage import Arm

MOST_SAMPLES = 20_000


class Group(StrEnum):
    """When a probe looks."""

    STEADY = "steady"
    PROBES = "probes"
    SEEN = "seen"
    AFTER = "after"


class Ending(StrEnum):
    """How the playing of an arm ended; HUNG is in the control, which did not come back in time."""

    PLAYED = "played"
    UNSTEADY = "unsteady"
    HUNG = "hung"
    BROKEN = "broken"


@dataclass(frozen=True)
class Look:
    """What one probe showed, `at` seconds after the arm began."""

    group: Group
    name: str
    holds: bool
    words: str
    at: float
    seconds: float


@dataclass(frozen=True)
class Sample:
    """One call of the subject, which ended `at` seconds after the arm began."""

    at: float
    ok: bool
    seconds: float
    label: str


@dataclass(frozen=True)
class Played:
    """One arm from its beginning to its end.

    `broken` says why it gives no verdict, if it ended so: the drill raised, hung, or left something behind. `lines` are
    the lines that it executed, by file, where they were traced. `phase` is the last that it came to.
    """

    arm: Arm
    ending: Ending
    started_at: datetime
    seconds: float
    looks: tuple[Look, ...] = ()
    samples: tuple[Sample, ...] = ()
    measured: Mapping[str, float] = field(default_factory=dict)
    fault_began: float | None = None
    fault_ended: float | None = None
    broken: str = ""
    lines: Mapping[str, frozenset[int]] = field(default_factory=dict)
    phase: str = ""

    def of(self, group: Group) -> tuple[Look, ...]:
        """The looks of one group, in order."""
        return tuple(look for look in self.looks if look.group is group)

    def look(self, name: str) -> Look | None:
        """What the probe of that name showed, if it came to that."""
        return next((look for look in self.looks if look.name == name), None)


@dataclass
class Listening:
    """An arm that is being played: takes its events one by one, and is a `Played` in the end."""

    arm: Arm
    started_at: datetime
    looks: list[Look] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)
    fault_began: float | None = None
    fault_ended: float | None = None
    ending: Ending | None = None
    broken: list[str] = field(default_factory=list)
    lines: dict[str, frozenset[int]] = field(default_factory=dict)
    phase: str = "start"

    def take(self, event: Mapping[str, Any]) -> None:
        """One event of the arm's process."""
        at = float(event.get("at", 0.0))
        match event["kind"]:
            case "phase":
                self.phase = event["name"]
            case "probe":
                group = Group(event["group"])
                self.looks.append(
                    Look(group, event["name"], event["holds"], event["words"], at, float(event["seconds"]))
                )
            case "samples":
                room = MOST_SAMPLES - len(self.samples)
                self.samples += [Sample(*sample) for sample in event["samples"][:room]]
            case "measure":
                self.measured[event["name"]] = float(event["value"])
            case "fault":
                if event["on"]:
                    self.fault_began = at
                else:
                    self.fault_ended = at
            case "lines":
                self.lines[event["file"]] = frozenset(event["lines"])
            case "broken":
                self.broken.append(event["why"])
            case "end":
                self.ending = Ending(event["ending"])

    def played(self, *, seconds: float) -> Played:
        """The whole arm."""
        if self.ending is None and not self.broken:
            self.broken.append(f"its process ended without a word while it was in phase {self.phase!r}")
        if self.ending is Ending.HUNG:
            self.broken.clear()  # it was ended where it stood, with all that it had started
        return Played(
            self.arm,
            Ending.BROKEN if self.broken else self.ending or Ending.BROKEN,
            self.started_at,
            seconds,
            tuple(self.looks),
            tuple(self.samples),
            self.measured,
            self.fault_began,
            self.fault_ended,
            "; ".join(self.broken),
            self.lines,
            self.phase,
        )
