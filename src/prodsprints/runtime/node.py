"""One machine's node: its instances, environments and routes, and the rules about who may change them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import prodsprints
from prodsprints.kernel import clock
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.settings import Settings
from prodsprints.runtime import keeper, logs
from prodsprints.runtime.envoy import Envoy
from prodsprints.runtime.errors import (
    EnvoyFailed,
    InstanceConflict,
    InstanceNotReady,
    NotFound,
    PortTaken,
    StaleToken,
    TooMany,
)
from prodsprints.runtime.instance import Instance, Surroundings
from prodsprints.runtime.ports import PortRange, free
from prodsprints.runtime.processes import who_listens
from prodsprints.runtime.state import EnvironmentRecord, InstanceRecord, StateFile
from prodsprints.runtime.values import Arm, InstanceSpec
from prodsprints.runtime.workspace import Workspace

_MAX_INSTANCES = 200
_MAX_ENVIRONMENTS = 500
_KEPT_ENDED = 50
_DRAIN_SECONDS = 30.0
_DRAIN_POLL_SECONDS = 0.1
_TEND_SECONDS = 2.0


@dataclass(frozen=True)
class Bounds:
    """Which ports the node uses: for environments (stable, seen by clients) and for instances."""

    environments: PortRange = field(default_factory=lambda: PortRange(18000, 18999))
    instances: PortRange = field(default_factory=lambda: PortRange(20000, 28999))


class Node:
    """Everything that the node agent does; the HTTP interface is a thin layer over it."""

    def __init__(self, settings: Settings, bounds: Bounds) -> None:
        self._settings = settings
        self._bounds = bounds
        self._home = settings.home
        self._file = StateFile(self._home / "nodes" / "agent.json")
        self._state = self._file.load()
        self._envoy = Envoy(
            self._home / "envoy",
            self._home / "logs" / "envoy.log",
            settings.envoy_admin_socket,
            self._state,
            self._file.save,
        )
        self._instances: dict[str, Instance] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._clusters = asyncio.Lock()
        self._problems: dict[str, PortTaken] = {}
        self._tending: asyncio.Task[None] | None = None
        self._started_at = clock.now()

    async def start(self) -> None:
        """Bring back what the last agent of this home kept: adopt what runs, start what does not."""
        await self._kill_unknown()
        for record in self._state.instances.values():
            instance = self._instances[record.id] = self._instance(record)
            if record.wanted:
                found = keeper.status(self._workspace(record.id))
                if found is None or not found.alive:
                    record.state, record.reason, record.pid = "starting", "The node was started again.", None
                    record.port = self._port(record, record.port)
                instance.begin()
            elif not record.final:
                self._background(instance.end(lambda record=record: self._drained(record.id)))
        self._envoy.lay_out(self._cluster_ports(), {port: record.arms for port, record in self._routed().items()})
        await self._envoy.start()
        self._tending = asyncio.create_task(self._tend(), name="tend")

    async def leave(self) -> None:
        """Stop acting; apps and Envoy go on."""
        if self._tending is not None:
            self._tending.cancel()
        await self._envoy.leave()
        for instance in self._instances.values():
            await instance.leave()

    async def shut_down(self) -> int:
        """End the apps, then Envoy; the next start of the node brings them back. Returns how many apps there were."""

        async def at_once() -> str:
            return ""

        running = [instance for instance in self._instances.values() if not instance.record.final]
        await asyncio.gather(*(instance.end(at_once, keep=instance.record.wanted) for instance in running))
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
            "problems": [str(problem) for problem in self._problems.values()],
            "started_at": clock.iso(self._started_at),
        }

    async def put_instance(self, name: str, spec: InstanceSpec, token: int) -> tuple[bool, dict[str, Any]]:
        """Run `spec` under `name`; whether it is new, and how it is. The same again changes nothing."""
        async with self._locks[spec.environment]:
            self._fence(spec.environment, token)
            record = self._state.instances.get(name)
            if record is not None and record.state != "stopped":
                if record.spec != spec:
                    raise InstanceConflict(
                        f"The instance {name} exists with another specification.",
                        next_step="Choose another id, or delete it first.",
                    )
                await self._file.save()
                return False, record.view()
            self._make_room()
            record = InstanceRecord(name, spec)
            record.port = self._port(record, 0)
            self._state.instances[name] = record
            await self._file.save()
            instance = self._instances[name] = self._instance(record)
            instance.begin()
            return True, record.view()

    def get_instance(self, name: str) -> dict[str, Any]:
        """How the instance is."""
        return self._record(name).view()

    async def delete_instance(self, name: str, token: int) -> dict[str, Any]:
        """Let its requests finish, end it, and return how that went. Others may act on the environment meanwhile."""
        record = self._record(name)
        environment = record.spec.environment
        async with self._locks[environment]:
            self._fence(environment, token)
            await self._file.save()
            arms = self._environment(environment).arms
            if any(arm.instance == name and arm.weight for arm in arms):
                raise InstanceConflict(
                    f"The instance {name} still gets requests.",
                    next_step="Route them to another instance first, or delete the environment's route.",
                )
            if any(arm.instance == name for arm in arms):
                await self._route(environment, tuple(arm for arm in arms if arm.instance != name))
            ending = asyncio.ensure_future(self._instances[name].end(lambda: self._drained(name)))
            await asyncio.sleep(0)  # from here on it counts as stopping: no route takes it up again
        await asyncio.shield(ending)
        with contextlib.suppress(EnvoyFailed):  # told again with the next change
            await self._tell_clusters()
        return record.view()

    async def put_route(self, environment: str, arms: Sequence[Arm], token: int) -> dict[str, Any]:
        """Divide the environment's requests; returns once Envoy does so."""
        began = clock.monotonic()
        async with self._locks[environment]:
            self._fence(environment, token)
            for arm in arms:
                self._check_ready(environment, arm)
            version = await self._route(environment, tuple(arms))
        seconds = round(clock.monotonic() - began, 4)
        return {"version": version, "port": self._environment(environment).port, "confirmed_seconds": seconds}

    def get_route(self, environment: str) -> dict[str, Any]:
        """The environment's port and arms."""
        record = self._routed_environment(environment)
        problem = self._problems.get(environment)
        return {
            "environment": environment,
            "port": record.port,
            "arms": [asdict(arm) for arm in record.arms],
            "problem": str(problem) if problem else None,
        }

    async def delete_route(self, environment: str, token: int) -> None:
        """Answer no more for the environment; its port stays its own."""
        async with self._locks[environment]:
            self._fence(environment, token)
            record = self._environment(environment)
            record.arms = ()
            self._problems.pop(environment, None)
            await self._file.save()
            await self._envoy.set_listeners(list(self._routed()))

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
        self._record(name)
        workspace = self._workspace(name)
        found = await asyncio.to_thread(logs.read, workspace.log, offset, limit)
        status = keeper.status(workspace)
        return {**found, "dropped_lines": status.dropped_lines if status else 0}

    async def _route(self, environment: str, arms: tuple[Arm, ...]) -> str:
        record = self._environment(environment)
        if problem := self._problems.get(environment):
            raise problem
        before, listening = record.arms, bool(record.arms)
        if not listening:
            record.port = self._environment_port(record.port)
        record.arms = arms
        await self._file.save()
        port = record.port or 0
        try:
            await self._tell_clusters(also=before)
            if listening:
                version = await self._envoy.set_route(port, arms)
            else:
                version = await self._envoy.add_route(list(self._routed()), port, arms)
        except EnvoyFailed as error:
            if error.refused:  # what was in force still is; a time-out in contrast is made good when Envoy is back
                record.arms = before
                await self._file.save()
            raise
        return version

    async def _tell_clusters(self, also: Sequence[Arm] = ()) -> None:
        async with self._clusters:
            await self._envoy.set_clusters(self._cluster_ports(also))

    def _cluster_ports(self, also: Sequence[Arm] = ()) -> dict[str, int]:
        """Every instance that a route names, named until just now, or that may still have requests under way."""
        named = {arm.instance for record in self._state.environments.values() for arm in record.arms}
        named |= {arm.instance for arm in also}
        return {
            record.id: record.port
            for record in self._state.instances.values()
            if record.port and (record.id in named or not record.final)
        }

    def _environment_port(self, port: int | None) -> int:
        if port is None:
            reserved = {record.port for record in self._state.environments.values() if record.port}
            return self._bounds.environments.choose(reserved)
        if not free(port):
            raise _taken(port)
        return port

    def _check_ready(self, environment: str, arm: Arm) -> None:
        record = self._state.instances.get(arm.instance)
        if record is None or record.spec.environment != environment:
            raise NotFound(
                f"The environment {environment} has no instance {arm.instance}.", next_step="Put the instance first."
            )
        if arm.weight and (record.final or record.state == "stopping" or not record.ever_healthy):
            raise InstanceNotReady(
                f"The instance {arm.instance} is {record.state}; it gets no requests.",
                why=record.reason,
                next_step="Wait until it is healthy, or route to another instance.",
            )

    async def _drained(self, name: str) -> str:
        """Wait until no request to the instance is under way; what is to be said if some were cut."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DRAIN_SECONDS
        quiet = 0
        while True:
            try:
                _, found = await self._envoy.counters([name])
            except EnvoyFailed:  # without Envoy nothing is under way
                return ""
            # Twice: a request that was divided just before the route changed may not count yet.
            quiet = quiet + 1 if found[name].active == 0 else 0
            if quiet > 1:
                return ""
            if loop.time() > deadline:
                return f"{found[name].active} requests were still under way after {_DRAIN_SECONDS:g} s."
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def _fence(self, environment: str, token: int) -> None:
        """Refuse who was overtaken. The caller saves before it acts."""
        record = self._environment(environment)
        if token < record.token:
            raise StaleToken(
                f"The fencing token {token} of {environment} is stale.",
                why=f"Somebody who got the lease later already acted with {record.token}.",
                next_step="Stop: this work is not yours any more.",
            )
        record.token = token

    def _environment(self, environment: str) -> EnvironmentRecord:
        if environment not in self._state.environments:
            if len(self._state.environments) >= _MAX_ENVIRONMENTS:
                raise TooMany(
                    f"This node has {_MAX_ENVIRONMENTS} environments.", next_step="Use another node for further ones."
                )
            self._state.environments[environment] = EnvironmentRecord()
        return self._state.environments[environment]

    def _routed_environment(self, environment: str) -> EnvironmentRecord:
        record = self._state.environments.get(environment)
        if record is None or not record.arms:
            raise NotFound(f"The environment {environment} has no route here.", next_step="Release it first.")
        return record

    def _routed(self) -> dict[int, EnvironmentRecord]:
        return {record.port: record for record in self._state.environments.values() if record.arms and record.port}

    def _record(self, name: str) -> InstanceRecord:
        if name not in self._state.instances:
            raise NotFound(f"There is no instance {name} here.", next_step="Look for it on the node that runs it.")
        return self._state.instances[name]

    def _instance(self, record: InstanceRecord) -> Instance:
        def routed() -> bool:
            arms = self._environment(record.spec.environment).arms
            return any(arm.instance == record.id for arm in arms)

        port = record.port

        async def changed() -> None:
            nonlocal port
            await self._file.save()
            if record.port != port:
                port = record.port
                with contextlib.suppress(EnvoyFailed):  # it reads the file when it is back
                    await self._tell_clusters()

        around = Surroundings(self._workspace(record.id), lambda old: self._port(record, old), routed, changed)
        return Instance(record, around)

    def _port(self, record: InstanceRecord, old: int) -> int:
        others = {other.port for other in self._state.instances.values() if other is not record and not other.final}
        return self._bounds.instances.keep_or_choose(old, others)

    def _workspace(self, name: str) -> Workspace:
        return Workspace(self._home / "instances" / name, self._home / "logs" / "instances" / name)

    def _make_room(self) -> None:
        ended = sorted((record for record in self._state.instances.values() if record.final), key=lambda r: r.since)
        if len(self._state.instances) - len(ended) >= _MAX_INSTANCES:
            raise TooMany(f"This node runs {_MAX_INSTANCES} instances.", next_step="Delete some of them first.")
        named = {arm.instance for record in self._state.environments.values() for arm in record.arms}
        for record in ended[:-_KEPT_ENDED]:
            if record.id not in named:
                del self._state.instances[record.id], self._instances[record.id]
                shutil.rmtree(self._workspace(record.id).log, ignore_errors=True)

    async def _kill_unknown(self) -> None:
        """End apps that no record knows: their agent was killed before it wrote them down, or its state was lost."""
        for directory in (self._home / "instances").glob("*/"):
            if directory.name not in self._state.instances:
                workspace = self._workspace(directory.name)
                await keeper.stop(workspace, 0)
                await asyncio.to_thread(workspace.remove)

    async def _tend(self) -> None:
        """Notice, and repair when it can be, that Envoy lacks a port that belongs to an environment."""
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            with contextlib.suppress(ProdSprintsError):
                await self._check_ports()

    async def _check_ports(self) -> None:
        generation = self._state.generation
        present = await self._envoy.listening()
        routed = {key: record.port for key, record in self._state.environments.items() if record.arms and record.port}
        missing = {key: port for key, port in routed.items() if port not in present}
        if not present and missing and not self._envoy.alive or generation != self._state.generation:
            return
        for key in [key for key in self._problems if key not in missing]:
            del self._problems[key]
        retry = False
        for key, port in missing.items():
            if free(port):
                retry = True
            else:
                self._problems[key] = await asyncio.to_thread(_taken, port)
        if retry:
            await self._envoy.set_listeners(list(routed.values()), again=True)

    def _background(self, work: Awaitable[None]) -> None:
        self._ends = [*getattr(self, "_ends", []), asyncio.ensure_future(work)]


def _taken(port: int) -> PortTaken:
    return PortTaken(
        f"The environment's port {port} is taken by {who_listens(port)}.",
        why="The port is the environment's for good: its clients know it.",
        next_step="Stop that program; the node takes the port back by itself.",
    )


