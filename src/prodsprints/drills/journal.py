"""What an arm showed as a Chaos Toolkit journal: the document that evidence binds by its hash."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from prodsprints import __version__
from prodsprints.drills.arms import Ending, Group, Look, Played
from prodsprints.drills.experiment import Experiment, Probe
from prodsprints.drills.stage import Arm
from prodsprints.kernel.clock import iso
from prodsprints.kernel.redaction import Redactor

FORMAT = "1.20.0"
"""The version of chaoslib whose journal this is the form of."""

_MOST_SAMPLES = 2_000
_STATUS = {
    Ending.PLAYED: "completed",
    Ending.UNSTEADY: "failed",
    Ending.HUNG: "failed",
    Ending.BROKEN: "aborted",
}


@dataclass(frozen=True)
class Journal:
    """One journal; its bytes are canonical JSON."""

    content: bytes

    @property
    def sha256(self) -> str:
        """The hash by which evidence names it."""
        return hashlib.sha256(self.content).hexdigest()

    def document(self) -> dict[str, Any]:
        """The parsed journal."""
        document: dict[str, Any] = json.loads(self.content)
        return document


def of(entry: str, experiment: Experiment[Any, Any], played: Played, *, node: str, digest: str) -> Journal:
    """The journal of one arm. What Chaos Toolkit has no word for stands below `x-prodsprints`."""
    moments = _Moments(played)
    steady, after = played.of(Group.STEADY), played.of(Group.AFTER)
    fault = moments.activity(
        _action(experiment), played.fault_began or 0.0, 0.0, status="succeeded", output=experiment.fault
    )
    looks = [moments.look(look) for look in (*played.of(Group.PROBES), *played.of(Group.SEEN))]
    document = {
        "chaoslib-version": FORMAT,
        "platform": platform.platform(),
        "node": node,
        "experiment": _experiment(entry, experiment, played.arm, digest),
        "start": iso(played.started_at),
        "status": _STATUS[played.ending],
        "deviated": any(not look.holds for look in (*played.of(Group.PROBES), *after)),
        "steady_states": {
            "before": {"steady_state_met": _met(steady), "probes": [moments.look(look) for look in steady]},
            "after": {"steady_state_met": _met(after), "probes": [moments.look(look) for look in after]},
            "during": [],
        },
        "run": [fault, *looks] if played.fault_began is not None else [],
        "rollbacks": [moments.activity(_end_of(experiment), played.fault_ended, 0.0, status="succeeded", output=None)]
        if played.fault_ended is not None
        else [],
        "end": moments.iso(played.seconds),
        "duration": round(played.seconds, 6),
        "x-prodsprints": {
            "version": __version__,
            "arm": played.arm,
            "broken": played.broken,
            "measured": dict(played.measured),
            "fault": [played.fault_began, played.fault_ended],
            "samples": [[s.at, s.ok, s.seconds, s.label] for s in _thinned(played)],
            "samples_in_all": len(played.samples),
        },
    }
    return Journal(json.dumps(Redactor().value(document), sort_keys=True, ensure_ascii=False).encode())


@dataclass(frozen=True)
class _Moments:
    """Turns seconds since the arm began into the journal's wall time."""

    played: Played

    def iso(self, at: float) -> str:
        return iso(self.played.started_at + timedelta(seconds=at))

    def activity(
        self, activity: dict[str, Any], at: float, seconds: float, *, status: str, output: object, **more: Any
    ) -> dict[str, Any]:
        times = {"start": self.iso(at - seconds), "end": self.iso(at), "duration": round(seconds, 6)}
        return {"activity": activity, "status": status, "output": output, **times, **more}

    def look(self, look: Look) -> dict[str, Any]:
        return self.activity(
            _probe(look.name),
            look.at,
            look.seconds,
            status="succeeded" if look.holds else "failed",
            output=look.words,
            tolerance_met=look.holds,
        )


def _experiment(entry: str, experiment: Experiment[Any, Any], arm: Arm, digest: str) -> dict[str, Any]:
    return {
        "version": "1.0.0",
        "title": experiment.title,
        "description": f"{experiment.row} {experiment.variant}, {arm} arm: {experiment.fault}",
        "tags": [experiment.row, experiment.variant, arm, experiment.safety],
        "steady-state-hypothesis": {"title": "Nothing is wrong yet", "probes": _probes(experiment.steady)},
        "method": [_action(experiment), *_probes(experiment.probes), _probe(experiment.seen.name)],
        "rollbacks": [_end_of(experiment)],
        "x-prodsprints": {
            "entry": entry,
            "control-digest": digest,
            "sources": list(experiment.sources),
            "named": experiment.named,
            "peers": [
                {"name": peer.name, "version": peer.version, "class": peer.peer_class} for peer in experiment.peers
            ],
            "scale": experiment.scale,
        },
    }


def _probes(probes: tuple[Probe[Any, Any], ...]) -> list[dict[str, Any]]:
    return [_probe(probe.name) for probe in probes]


def _probe(name: str) -> dict[str, Any]:
    return {"type": "probe", "name": name, "tolerance": True, "provider": _provider("look")}


def _action(experiment: Experiment[Any, Any]) -> dict[str, Any]:
    return {"type": "action", "name": experiment.fault, "provider": _provider("inject")}


def _end_of(experiment: Experiment[Any, Any]) -> dict[str, Any]:
    return {"type": "action", "name": f"end of: {experiment.fault}", "provider": _provider("inject")}


def _provider(function: str) -> dict[str, Any]:
    return {"type": "python", "module": "prodsprints.drills.harness", "func": function, "arguments": {}}


def _met(looks: tuple[Look, ...]) -> bool | None:
    return all(look.holds for look in looks) if looks else None


def _thinned(played: Played) -> list[Any]:
    """Enough of them for a chart."""
    step = -(-len(played.samples) // _MOST_SAMPLES) or 1
    return list(played.samples[::step])
