"""What the node agent must know again after it was killed: one JSON file, replaced whole, for its owner's eyes only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prodsprints.kernel import clock, files
from prodsprints.runtime.errors import StateCorruptError, StorageError
from prodsprints.runtime.processes import Identity
from prodsprints.runtime.values import FINAL_STATES, STATES, Arm, InstanceSpec

_SCHEMA = 1


@dataclass
class InstanceRecord:
    """One instance: what was asked for, what is wanted of it now, and what was last seen."""

    id: str
    spec: InstanceSpec
    wanted: bool = True
    state: str = "starting"
    reason: str = ""
    since: str = field(default_factory=lambda: clock.iso(clock.now()))
    port: int = 0
    pid: int | None = None
    exit_code: int | None = None
    restarts: int = 0
    ever_healthy: bool = False
    prepared: bool = False
    dropped_lines: int = 0

    @property
    def final(self) -> bool:
        """Whether nothing of it runs, or will run unasked."""
        return self.state in FINAL_STATES

    def view(self) -> dict[str, Any]:
        """What a caller may see: the specification's environment holds secrets and stays here."""
        seen = ("id", "state", "reason", "since", "port", "pid", "exit_code", "restarts")
        of_spec = ("environment", "release", "label", "digest")
        return {name: getattr(self, name) for name in seen} | {name: getattr(self.spec, name) for name in of_spec}


@dataclass
class EnvironmentRecord:
    """One environment: its port for good, the highest fencing token seen, and its route."""

    token: int = 0
    port: int | None = None
    arms: tuple[Arm, ...] = ()


@dataclass
class State:
    """Everything that is persisted."""

    generation: int = 0
    envoy: Identity | None = None
    envoy_base: str = ""
    environments: dict[str, EnvironmentRecord] = field(default_factory=dict)
    instances: dict[str, InstanceRecord] = field(default_factory=dict)


class StateFile:
    """Reads the state once, then writes it, whole and in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = asyncio.Lock()
        self.state = State()

    def load(self) -> State:
        """The state as last saved; empty when there is none yet. Raises StateCorruptError, leaving the file alone."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return self.state
        try:
            self.state = _parse(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateCorruptError(
                f"The node agent's state {self._path} cannot be read: {type(error).__name__}: {error}.",
                why="Apps and Envoy that run go on as they are; nothing was stopped or overwritten.",
                next_step=f"Put back a copy, or begin empty and release again: mv {self._path} {self._path}.aside",
            ) from None
        return self.state

    async def save(self) -> None:
        """Write the state durably. Raises StorageError, with the old state still on disk."""
        # A caller that is cancelled must not leave a write behind that overtakes the next one.
        await asyncio.shield(asyncio.ensure_future(self._write()))

    async def _write(self) -> None:
        async with self._writing:
            content = json.dumps(_document(self.state), indent=1).encode()
            try:
                await asyncio.to_thread(files.replace, self._path, content, mode=0o600)
            except OSError as error:
                raise StorageError(
                    f"The node agent's state cannot be written: {error.strerror}.",
                    why=f"Nothing was changed. The file is {self._path}.",
                    next_step="Free some disk space, or mount it writable, and try again.",
                ) from None


def _document(state: State) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "generation": state.generation,
        "envoy": state.envoy.document() if state.envoy else None,
        "envoy_base": state.envoy_base,
        "environments": {key: asdict(record) for key, record in state.environments.items()},
        "instances": {key: asdict(record) for key, record in state.instances.items()},
    }


def _parse(document: Mapping[str, Any]) -> State:
    if document["schema"] != _SCHEMA:
        raise ValueError(f"its schema is {document['schema']}, this version reads {_SCHEMA}")
    state = State(int(document["generation"]), Identity.parse(document["envoy"]), str(document["envoy_base"]))
    for key, entry in document["environments"].items():
        arms = tuple(Arm(**arm) for arm in entry["arms"])
        state.environments[key] = EnvironmentRecord(**{**entry, "arms": arms})
    for key, entry in document["instances"].items():
        spec = entry["spec"]
        spec |= {name: tuple(spec[name]) for name in ("argv", "readable")}
        spec["prepare"] = tuple(map(tuple, spec["prepare"]))
        record = InstanceRecord(**{**entry, "spec": InstanceSpec(**spec)})
        if record.state not in STATES:
            raise ValueError(f"{record.state!r} is no state")
        state.instances[key] = record
    return state
