"""One machine's node: its instances and environments, brought back after every kill, changed in one place."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import prodsprints
from prodsprints.kernel import clock
from prodsprints.kernel.settings import Settings
from prodsprints.runtime import keeper, logs
from prodsprints.runtime.envoy import Envoy
from prodsprints.runtime.errors import EnvoyError, InstanceConflictError, NotFoundError, StorageError, TooManyError
from prodsprints.runtime.instance import Instance, Surroundings
from prodsprints.runtime.ports import PortRange
from prodsprints.runtime.state import InstanceRecord, StateFile
from prodsprints.runtime.traffic import Traffic
from prodsprints.runtime.values import Arm, InstanceSpec
from prodsprints.runtime.workspace import Workspace

_MAX_INSTANCES = 200
_KEPT_ENDED = 50


@dataclass(frozen=True)
class Ports:
    """Which ports the node uses: for environments (stable, known to clients) and for instances."""

    environments: PortRange = field(default_factory=lambda: PortRange(18000, 18999))
    instances: PortRange = field(default_factory=lambda: PortRange(20000, 28999).scattered())


class Node:
    """Everything that the node agent does; the HTTP interface is a thin layer over it.

    What changes an environment is done one after the other; different environments side by side.
    """

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._settings = settings
        self._home = settings.home
        self._ports = ports
        self._file = StateFile(self._home / "nodes" / "agent.json")
        self._state = self._file.load()
        log = self._home / "logs" / "envoy.log"
        self._envoy = Envoy(self._home / "envoy", log, settings.envoy_admin_socket, self._state, self._note)
        self._traffic = Traffic(self._state, self._envoy, ports.environments, self._file.save)
        self._instances: dict[str, Instance] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._started_at = clock.now()

    async def start(self) -> None:
        """Bring back what the last agent of this home kept: adopt what runs, start what does not."""
        await self._end_unknown()
        for record in self._state.instances.values():
            instance = self._instances[record.id] = self._instance(record)
            if record.wanted:
                found = keeper.status(self._workspace(record.id))
                if found is None or not found.alive:
                    record.state, record.reason, record.pid = "starting", "The node was started again.", None
                instance.begin()
            elif not record.final:
                instance.end(partial(self._traffic.drained, record.id))
        await self._traffic.start()

    async def leave(self) -> None:
        """Stop acting; apps and Envoy go on."""
        await self._traffic.leave()
        for instance in self._instances.values():
            await instance.leave()

    async def shut_down(self) -> int:
        """End the apps, then Envoy; the next start of the node brings them back. Returns how many apps there were."""

        async def at_once() -> str:
            return ""

        running = [instance for instance in self._instances.values() if not instance.record.final]
        await asyncio.gather(*(instance.end(at_once, keep=instance.record.wanted) for instance in running))
        await self._traffic.leave()
        await self._envoy.stop()
        await self._file.save()
        return len(running)

    def health(self) -> dict[str, Any]:
        """How the node is."""
        envoy = self._state.envoy
        return {
            "node": self._settings.node,
            "version": prodsprints.__version__,
            "envoy": {
                "alive": self._envoy.alive,
                "pid": envoy.pid if envoy else None,
                "generation": self._state.generation,
            },
            "instances": sum(not record.final for record in self._state.instances.values()),
            "problems": self._traffic.problems(),
            "started_at": clock.iso(self._started_at),
        }

    async def put_instance(self, name: str, spec: InstanceSpec, token: int) -> tuple[bool, dict[str, Any]]:
        """Run `spec` under `name`; whether it is new, and how it is. The same again changes nothing."""
        async with self._locks[spec.environment]:
            self._traffic.fence(spec.environment, token)
            record = self._state.instances.get(name)
            if record is not None and record.state != "stopped":
                if record.spec != spec:
                    raise InstanceConflictError(
                        f"The instance {name} exists with another specification.",
                        next_step="Choose another id, or delete it first.",
                    )
                await self._file.save()
                return False, record.view()
            self._make_room()
            record = InstanceRecord(name, spec)
            record.port = self._port(record, 0)
            self._state.instances[name] = record
            try:
                await self._file.save()
            except StorageError:
                del self._state.instances[name]
                raise
            instance = self._instances[name] = self._instance(record)
            instance.begin()
            return True, record.view()

    def get_instance(self, name: str) -> dict[str, Any]:
        """How the instance is."""
        return self._record(name).view()

    async def delete_instance(self, name: str, token: int) -> dict[str, Any]:
        """Let its requests finish, end it, and return how that went. Meanwhile others may act on the environment."""
        record = self._record(name)
        environment = record.spec.environment
        async with self._locks[environment]:
            self._traffic.fence(environment, token)
            await self._file.save()
            arm = self._traffic.arm(environment, name)
            if arm is not None and arm.weight:
                raise InstanceConflictError(
                    f"The instance {name} still gets requests.",
                    next_step="Route them to another instance first, or delete the environment's route.",
                )
            if arm is not None:
                await self._traffic.drop_arm(environment, name)
            ending = self._instances[name].end(partial(self._traffic.drained, name))
        await ending
        with contextlib.suppress(EnvoyError):  # told again with the next change
            await self._traffic.tell_clusters()
        return record.view()

    async def put_route(self, environment: str, arms: Sequence[Arm], token: int) -> dict[str, Any]:
        """Divide the environment's requests; returns once Envoy does so."""
        began = time.monotonic()
        async with self._locks[environment]:
            self._traffic.fence(environment, token)
            version, port = await self._traffic.divide(environment, tuple(arms))
        return {"version": version, "port": port, "confirmed_seconds": round(time.monotonic() - began, 4)}

    def get_route(self, environment: str) -> dict[str, Any]:
        """The environment's port and arms."""
        return self._traffic.view(environment)

    async def delete_route(self, environment: str, token: int) -> None:
        """Answer no more for the environment; its port stays its own."""
        async with self._locks[environment]:
            self._traffic.fence(environment, token)
            await self._traffic.close(environment)

    async def counters(self, environment: str) -> dict[str, Any]:
        """What the environment's instances were asked since Envoy's start, and how they answered."""
        names = [
            record.id
            for record in self._state.instances.values()
            if record.spec.environment == environment and record.state != "stopped"
        ]
        generation, found = await self._envoy.counters(names)
        return {"generation": generation, "arms": {name: asdict(counters) for name, counters in found.items()}}

    async def log(self, name: str, offset: int, limit: int) -> dict[str, Any]:
        """A part of the instance's output."""
        record, workspace = self._record(name), self._workspace(name)
        found = await asyncio.to_thread(logs.read, workspace.log, offset, limit)
        status = keeper.status(workspace)
        return {**found, "dropped_lines": status.dropped_lines if status else record.dropped_lines}

    async def _note(self) -> None:
        """Save what happened by itself. A full disk must not end what serves: it is saved with the next change."""
        with contextlib.suppress(StorageError):
            await self._file.save()

    def _record(self, name: str) -> InstanceRecord:
        if name not in self._state.instances:
            raise NotFoundError(f"There is no instance {name} here.", next_step="Look for it on the node that runs it.")
        return self._state.instances[name]

    def _instance(self, record: InstanceRecord) -> Instance:
        told_port = record.port

        async def changed() -> None:
            nonlocal told_port
            await self._note()
            if record.port != told_port:
                told_port = record.port
                with contextlib.suppress(EnvoyError):  # it reads the file when it is back
                    await self._traffic.tell_clusters()

        around = Surroundings(
            workspace=self._workspace(record.id),
            port=lambda old: self._port(record, old),
            routed=lambda: self._traffic.arm(record.spec.environment, record.id) is not None,
            changed=changed,
        )
        return Instance(record, around)

    def _port(self, record: InstanceRecord, old: int) -> int:
        others = {other.port for other in self._state.instances.values() if other is not record and not other.final}
        return self._ports.instances.keep_or_choose(old, others)

    def _workspace(self, name: str) -> Workspace:
        return Workspace(self._home / "instances" / name, self._home / "logs" / "instances" / name)

    def _make_room(self) -> None:
        ended = sorted((record for record in self._state.instances.values() if record.final), key=lambda r: r.since)
        if len(self._state.instances) - len(ended) >= _MAX_INSTANCES:
            raise TooManyError(f"This node runs {_MAX_INSTANCES} instances.", next_step="Delete some of them first.")
        named = self._traffic.named()
        for record in ended[:-_KEPT_ENDED]:
            if record.id not in named:
                del self._state.instances[record.id], self._instances[record.id]
                shutil.rmtree(self._workspace(record.id).log, ignore_errors=True)

    async def _end_unknown(self) -> None:
        """End apps that no record knows: their agent was killed before it wrote them down, or the state began anew."""
        for directory in (self._home / "instances").glob("*/"):
            if directory.name not in self._state.instances:
                workspace = self._workspace(directory.name)
                await keeper.stop(workspace, 0)
                await asyncio.to_thread(workspace.remove)
