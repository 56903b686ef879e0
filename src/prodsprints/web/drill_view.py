"""What a drill has shown so far, arm by arm, and what it is about: put together for the API and the pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prodsprints.drills import runs
from prodsprints.drills.arms import Ending, Group, Listening, Look, Sample
from prodsprints.drills.catalog import Catalog
from prodsprints.drills.experiment import Peer, PeerClass
from prodsprints.drills.runs import DrillRun, RunEvent
from prodsprints.drills.stage import Arm
from prodsprints.kernel import clock
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.store.database import Database
from prodsprints.web import words

PHASES = ("stand", "steady", "fault", "probes", "after")
_MOST_EVENTS = 5_000
_MEASURES = {
    "detect_seconds": "Noticed in",
    "recover_seconds": "Well again in",
    "calls_lost": "Calls lost",
    "data_lost": "Data lost",
}
_SHOWN_AS = {"import": "stand", "stand": "stand", "subject": "stand", "inject": "fault"}


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


@dataclass(frozen=True)
class Described:
    """What a run is about: as its journal says it, once there is one; the drill may have changed since."""

    title: str
    fault: str = ""
    safety: str = ""
    peers: tuple[Peer, ...] = ()
    scale: str = ""
    named: str = ""


def of(db: Database, tenant_id: UUID, run: DrillRun) -> tuple[ArmView, ArmView]:
    """Both arms of `run`, the one with the control first."""
    return arms(events_of(db, tenant_id, run))


def events_of(db: Database, tenant_id: UUID, run: DrillRun) -> list[RunEvent]:
    """Everything that was seen of `run` so far."""
    return runs.events(db, tenant_id, run.id, limit=_MOST_EVENTS)


def described(db: Database, tenant_id: UUID, catalog: Catalog, run: DrillRun) -> Described:
    """What `run` is about."""
    journal = runs.journal(db, tenant_id, run.treatment_journal) if run.treatment_journal else None
    if journal is not None:
        return _from_journal(journal.document()["experiment"])
    try:
        experiment = catalog.find(run.row, run.variant).experiment
    except ProdSprintsError:
        return Described(run.variant)
    return Described(
        experiment.title, experiment.fault, experiment.safety, experiment.peers, experiment.scale, experiment.named
    )


def arms(events: Iterable[RunEvent]) -> tuple[ArmView, ArmView]:
    """What the events of a run come to, arm by arm."""
    by_arm: dict[str, list[RunEvent]] = {arm: [] for arm in Arm}
    for event in events:
        by_arm.get(event.arm, []).append(event)
    return _view(Arm.TREATMENT, by_arm[Arm.TREATMENT]), _view(Arm.PLACEBO, by_arm[Arm.PLACEBO])


def figures(measured: Mapping[str, float]) -> list[tuple[str, str]]:
    """What a drill measured, in words: `Noticed in`, `0.3 s`."""
    known = [(name, measured[name]) for name in _MEASURES if isinstance(measured.get(name), int | float)]
    return [
        (_MEASURES[name], words.duration(value) if name.endswith("_seconds") else f"{value:,g}")
        for name, value in known
    ]


def _view(arm: Arm, events: list[RunEvent]) -> ArmView:
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


def _from_journal(experiment: Mapping[str, Any]) -> Described:
    more = experiment["x-prodsprints"]
    return Described(
        experiment["title"],
        experiment["method"][0]["name"],
        experiment["tags"][3],
        tuple(Peer(peer["name"], peer["version"], PeerClass(peer["class"])) for peer in more["peers"]),
        more["scale"],
        more["named"],
    )
