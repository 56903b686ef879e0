"""The environments of one node: their ports for good, their routes, and Envoy made to follow them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.runtime.envoy import Envoy
from prodsprints.runtime.errors import (
    EnvoyError,
    InstanceNotReadyError,
    NotFoundError,
    PortTakenError,
    StaleTokenError,
    StorageError,
    TooManyError,
)
from prodsprints.runtime.ports import PortRange, free
from prodsprints.runtime.processes import who_listens
from prodsprints.runtime.state import EnvironmentRecord, State
from prodsprints.runtime.values import Arm

_MAX_ENVIRONMENTS = 500
_DRAIN_SECONDS = 30.0
_DRAIN_POLL_SECONDS = 0.1
_TEND_SECONDS = 2.0


class Traffic:
    """Who may change an environment, and where its requests go. Callers hold the environment's lock."""

    def __init__(self, state: State, envoy: Envoy, ports: PortRange, save: Callable[[], Awaitable[None]]) -> None:
        self._state = state
        self._envoy = envoy
        self._ports = ports
        self._save = save
        self._clusters = asyncio.Lock()
        self._problems: dict[str, PortTakenError] = {}
        self._tending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bring Envoy up with every port and route as the state has them, and keep it so."""
        routes = {port: record.arms for port, record in self._routed().items()}
        self._envoy.lay_out(self._cluster_ports(()), routes)
        await self._envoy.start()
        self._tending = asyncio.create_task(self._tend(), name="tend")

    async def leave(self) -> None:
        """Stop acting; Envoy goes on."""
        if self._tending is not None:
            self._tending.cancel()
        await self._envoy.leave()

    def problems(self) -> list[str]:
        """What keeps an environment from being answered for, in words."""
        return [str(problem) for problem in self._problems.values()]

    def fence(self, environment: str, token: int) -> None:
        """Refuse who was overtaken. The caller saves before it acts."""
        record = self._environment(environment)
        if token < record.token:
            raise StaleTokenError(
                f"The fencing token {token} of {environment} is stale.",
                why=f"Somebody who got the lease later already acted with {record.token}.",
                next_step="Stop: this work is not yours any more.",
            )
        record.token = token

    def arm(self, environment: str, instance: str) -> Arm | None:
        """The arm of the environment's route that names `instance`."""
        record = self._state.environments.get(environment)
        return next((arm for arm in record.arms if arm.instance == instance), None) if record else None

    def named(self) -> set[str]:
        """Every instance that a route names."""
        return {arm.instance for record in self._state.environments.values() for arm in record.arms}

    def view(self, environment: str) -> dict[str, Any]:
        """The environment's port and arms."""
        record = self._state.environments.get(environment)
        if record is None or not record.arms:
            raise NotFoundError(f"The environment {environment} has no route here.", next_step="Release it first.")
        problem = self._problems.get(environment)
        return {
            "environment": environment,
            "port": record.port,
            "arms": [asdict(arm) for arm in record.arms],
            "problem": str(problem) if problem else None,
        }

    async def divide(self, environment: str, arms: tuple[Arm, ...]) -> tuple[str, int]:
        """Send the environment's requests to `arms`; the version and the port, once Envoy does so."""
        for arm in arms:
            self._check_ready(environment, arm)
        if problem := self._problems.get(environment):
            raise problem
        record = self._environment(environment)
        before = record.arms
        port = record.port = record.port if before and record.port else self._free_port(record.port)
        record.arms = arms
        try:
            await self._save()
            await self.tell_clusters(before)
            if before:
                return await self._envoy.set_route(port, arms), port
            return await self._envoy.add_route(list(self._routed()), port, arms), port
        except (EnvoyError, StorageError) as error:
            # What was in force still is. A time-out, in contrast, is made good when Envoy is back.
            if isinstance(error, StorageError) or error.refused:
                record.arms = before
                with contextlib.suppress(StorageError):
                    await self._save()
            raise

    async def drop_arm(self, environment: str, instance: str) -> None:
        """Name `instance`, an arm without weight, no more in the environment's route."""
        record = self._environment(environment)
        record.arms = tuple(arm for arm in record.arms if arm.instance != instance)
        await self._save()  # Envoy was never told of an arm without weight

    async def close(self, environment: str) -> None:
        """Answer no more for the environment; its port stays its own."""
        self._environment(environment).arms = ()
        self._problems.pop(environment, None)
        await self._save()
        await self._envoy.set_listeners(list(self._routed()))

    async def tell_clusters(self, also: Sequence[Arm] = ()) -> None:
        """Make Envoy know every instance that a route names, named until just now (`also`), or that runs."""
        async with self._clusters:
            await self._envoy.set_clusters(self._cluster_ports(also))

    async def drained(self, instance: str) -> str:
        """Wait until no request to `instance` is under way; what is to be said if some were cut."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DRAIN_SECONDS
        quiet = 0
        while True:
            try:
                _, found = await self._envoy.counters([instance])
            except EnvoyError:  # without Envoy nothing is under way
                return ""
            # Twice: a request that was divided just before the route changed may not count yet.
            quiet = quiet + 1 if found[instance].active == 0 else 0
            if quiet > 1:
                return ""
            if loop.time() > deadline:
                return f"{found[instance].active} requests were still under way after {_DRAIN_SECONDS:g} s."
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def _check_ready(self, environment: str, arm: Arm) -> None:
        record = self._state.instances.get(arm.instance)
        if record is None or record.spec.environment != environment:
            raise NotFoundError(
                f"The environment {environment} has no instance {arm.instance}.", next_step="Put the instance first."
            )
        if arm.weight and (record.final or record.state == "stopping" or not record.ever_healthy):
            raise InstanceNotReadyError(
                f"The instance {arm.instance} is {record.state}; it gets no requests.",
                why=record.reason,
                next_step="Wait until it is healthy, or route to another instance.",
            )

    def _free_port(self, port: int | None) -> int:
        if port is None:
            reserved = {record.port for record in self._state.environments.values() if record.port}
            return self._ports.choose(reserved)
        if not free(port):
            raise _taken(port)
        return port

    def _environment(self, environment: str) -> EnvironmentRecord:
        if environment not in self._state.environments:
            if len(self._state.environments) >= _MAX_ENVIRONMENTS:
                raise TooManyError(
                    f"This node has {_MAX_ENVIRONMENTS} environments.", next_step="Use another node for further ones."
                )
            self._state.environments[environment] = EnvironmentRecord()
        return self._state.environments[environment]

    def _routed(self) -> dict[int, EnvironmentRecord]:
        return {record.port: record for record in self._state.environments.values() if record.arms and record.port}

    def _cluster_ports(self, also: Sequence[Arm]) -> dict[str, int]:
        named = self.named() | {arm.instance for arm in also}
        return {
            record.id: record.port
            for record in self._state.instances.values()
            if record.port and (record.id in named or not record.final)
        }

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            with contextlib.suppress(ProdSprintsError):
                await self._take_back_ports()

    async def _take_back_ports(self) -> None:
        """Notice that Envoy lacks an environment's port since somebody else has it, and take it once it is free."""
        generation = self._state.generation
        present = await self._envoy.listening()
        routed = {key: record.port for key, record in self._state.environments.items() if record.arms and record.port}
        missing = {key: port for key, port in routed.items() if port not in present}
        if generation != self._state.generation or not self._envoy.alive:
            return
        for key in [key for key in self._problems if key not in missing]:
            del self._problems[key]
        taken = {key: port for key, port in missing.items() if not free(port)}
        for key, port in taken.items():
            self._problems[key] = await asyncio.to_thread(_taken, port)
        if len(taken) < len(missing):
            await self._envoy.set_listeners(list(routed.values()), again=True)


def _taken(port: int) -> PortTakenError:
    return PortTakenError(
        f"The environment's port {port} is taken by {who_listens(port)}.",
        why="The port is the environment's for good: its clients know it.",
        next_step="Stop that program; the node takes the port back by itself.",
    )
