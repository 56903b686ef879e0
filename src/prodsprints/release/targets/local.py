"""The local target: this machine's node agent, which may be restarted at any moment and is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from prodsprints.kernel.settings import Settings
from prodsprints.release.errors import RolloutError
from prodsprints.release.targets import Counted, Instance, Route, Workload
from prodsprints.runtime.client import NodeAgent
from prodsprints.runtime.errors import AgentUnreachableError, NotFoundError, StaleTokenError
from prodsprints.runtime.values import Arm, InstanceSpec
from prodsprints.store.errors import FencedError

T = TypeVar("T")

_PATIENCE_SECONDS = 20.0
_RETRY_SECONDS = 0.1


class LocalTarget:
    """A Target over the node agent's socket. Its calls are idempotent, so each is simply repeated while nobody answers.

    Raises FencedError when the agent has seen a newer token, RolloutError when it stays away.
    """

    def __init__(self, settings: Settings) -> None:
        self._agent = NodeAgent(settings)

    def start(self, environment: str, instance: str, workload: Workload, fencing_token: int) -> None:
        """Have `workload` starting or running as `instance`."""
        spec = InstanceSpec(
            environment=environment,
            release=workload.release,
            label=workload.label,
            digest=workload.digest,
            rootfs=str(workload.rootfs),
            readable=tuple(map(str, workload.readable)),
            argv=workload.argv,
            env=dict(workload.env),
            workdir=workload.workdir,
            prepare=workload.prepare,
            health_path=workload.health_path,
            health_any=workload.health_any,
        )
        _patiently(lambda: self._agent.put_instance(instance, spec, fencing_token))

    def instance(self, instance: str) -> Instance | None:
        """The instance's state, or None if the agent knows none such."""
        try:
            found = _patiently(lambda: self._agent.instance(instance))
        except NotFoundError:
            return None
        return Instance(found.id, found.state, found.reason, found.restarts)

    def stop(self, instance: str, fencing_token: int) -> None:
        """Drain and stop."""
        try:
            _patiently(lambda: self._agent.delete_instance(instance, fencing_token))
        except NotFoundError:
            return

    def route(self, environment: str) -> Route | None:
        """Who serves the environment now."""
        try:
            found = _patiently(lambda: self._agent.route(environment))
        except NotFoundError:
            return None
        return Route(found.arms, found.port, 0.0)

    def set_route(self, environment: str, arms: Sequence[Arm], fencing_token: int) -> Route:
        """Change who serves it; Envoy has confirmed it on return."""
        done = _patiently(lambda: self._agent.put_route(environment, arms, fencing_token))
        return Route(tuple(arms), done.port, done.confirmed_seconds)

    def drop_route(self, environment: str, fencing_token: int) -> None:
        """Serve nothing anymore."""
        try:
            _patiently(lambda: self._agent.delete_route(environment, fencing_token))
        except NotFoundError:
            return

    def counters(self, environment: str) -> Mapping[str, Counted]:
        """What each routed instance answered, by instance."""
        found = _patiently(lambda: self._agent.counters(environment))
        return {name: Counted(found.generation, arm.requests, arm.errors) for name, arm in found.arms.items()}


def _patiently(call: Callable[[], T]) -> T:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return call()
        except StaleTokenError as error:
            raise FencedError(error.what, why=error.why, next_step=error.next_step) from None
        except AgentUnreachableError as error:
            if time.monotonic() > deadline:
                raise RolloutError(
                    "This machine's node agent is lost.", why=error.why, next_step="Start it again: prodsprints up."
                ) from None
            time.sleep(_RETRY_SECONDS)
