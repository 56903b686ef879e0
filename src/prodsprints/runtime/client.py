"""The node agent as workers and the command line see it: typed calls over its Unix socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodsprints.kernel.settings import Settings
from prodsprints.runtime.errors import AgentUnreachableError, from_problem
from prodsprints.runtime.values import Arm, InstanceSpec

if TYPE_CHECKING:
    pass

_TIMEOUT_SECONDS = 15.0
_END_SECONDS = 660.0  # the longest drain and grace, with some room


@dataclass(frozen=True)
class InstanceState:
    """How an instance is: `state` is starting, healthy, unhealthy, exited, failed, stopping or stopped."""

    id: str
    environment: str
    release: str
    label: str
    digest: str
    state: str
    reason: str
    since: str
    port: int
    pid: int | None
    exit_code: int | None
    restarts: int


@dataclass(frozen=True)
class RouteChange:
    """A route in force: Envoy's version of it, the environment's port, and how long it took."""

    version: str
    port: int
    confirmed_seconds: float


@dataclass(frozen=True)
class RouteState:
    """An environment's port and arms; `problem` says why nobody answers there, if so."""

    environment: str
    port: int
    arms: tuple[Arm, ...]
    problem: str | None


@dataclass(frozen=True)
class ArmCounters:
    """One arm's requests, cumulative within a generation."""

    requests: int
    errors: int
    active: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class CountersState:
    """All arms of an environment. When `generation` differs from the last look, the counters began at zero again."""

    generation: int
    arms: dict[str, ArmCounters]


@dataclass(frozen=True)
class LogPart:
    """A part of an instance's output. Ask again from `next`; `offset` is later than asked where it was rotated away."""

    offset: int
    next: int
    text: str
    dropped_lines: int


@dataclass(frozen=True)
class NodeHealth:
    """How the node is."""

    node: str
    version: str
    envoy_alive: bool
    envoy_pid: int | None
    generation: int
    instances: int
    problems: tuple[str, ...]
    started_at: str


class NodeAgent:
    """Calls to this machine's node agent. Safe to share among threads.

    Every method raises AgentUnreachableError when nobody answers, and the agent's own errors as they are
    (StaleTokenError, NotFoundError, …; see runtime/errors.py).
    """

    def __init__(self, settings: Settings) -> None:
        import httpx  # 60 ms that only who calls pays

        self._socket = settings.node_socket
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self._socket)), base_url="http://node", timeout=_TIMEOUT_SECONDS
        )

    def __enter__(self) -> NodeAgent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def health(self) -> NodeHealth:
        """How the node is."""
        found = self._call("GET", "/health")
        envoy = found["envoy"]
        return NodeHealth(
            node=found["node"],
            version=found["version"],
            envoy_alive=envoy["alive"],
            envoy_pid=envoy["pid"],
            generation=envoy["generation"],
            instances=found["instances"],
            problems=tuple(found["problems"]),
            started_at=found["started_at"],
        )

    def put_instance(self, instance: str, spec: InstanceSpec, fencing_token: int) -> InstanceState:
        """Run `spec` under the id `instance`; idempotent."""
        body = spec.document() | {"fencing_token": fencing_token}
        return InstanceState(**self._call("PUT", f"/instances/{instance}", body))

    def instance(self, instance: str) -> InstanceState:
        """How the instance is."""
        return InstanceState(**self._call("GET", f"/instances/{instance}"))

    def delete_instance(self, instance: str, fencing_token: int) -> InstanceState:
        """Drain and end the instance; returns when it has ended."""
        path = f"/instances/{instance}?fencing_token={fencing_token}"
        return InstanceState(**self._call("DELETE", path, timeout_seconds=_END_SECONDS))

    def put_route(self, environment: str, arms: Sequence[Arm], fencing_token: int) -> RouteChange:
        """Divide the environment's requests; returns once Envoy does so."""
        body = {
            "arms": [{"instance": arm.instance, "label": arm.label, "weight": arm.weight} for arm in arms],
            "fencing_token": fencing_token,
        }
        return RouteChange(**self._call("PUT", f"/routes/{environment}", body, timeout_seconds=2 * _TIMEOUT_SECONDS))

    def route(self, environment: str) -> RouteState:
        """The environment's route. Raises NotFoundError when it has none."""
        found = self._call("GET", f"/routes/{environment}")
        return RouteState(**{**found, "arms": tuple(Arm(**arm) for arm in found["arms"])})

    def delete_route(self, environment: str, fencing_token: int) -> None:
        """Answer no more for the environment."""
        self._call("DELETE", f"/routes/{environment}?fencing_token={fencing_token}", timeout_seconds=_TIMEOUT_SECONDS)

    def counters(self, environment: str) -> CountersState:
        """What the environment's arms were asked, and how they answered."""
        found = self._call("GET", f"/counters/{environment}")
        return CountersState(found["generation"], {name: ArmCounters(**arm) for name, arm in found["arms"].items()})

    def log(self, instance: str, offset: int = 0, limit: int = 65_536) -> LogPart:
        """A part of the instance's output; a negative offset counts from its end."""
        return LogPart(**self._call("GET", f"/instances/{instance}/log?offset={offset}&limit={limit}"))

    def shut_down(self) -> int:
        """End the apps, Envoy and the agent; the next start brings them back. Returns how many apps there were."""
        return int(self._call("POST", "/shutdown", timeout_seconds=_END_SECONDS)["stopped"])

    def _call(
        self, method: str, path: str, body: Any = None, *, timeout_seconds: float = _TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        import httpx

        try:
            answer = self._client.request(method, path, json=body, timeout=timeout_seconds)
            document = answer.json() if answer.content else {}
        except (httpx.HTTPError, ValueError) as error:
            raise AgentUnreachableError(
                "This machine's node agent does not answer.",
                why=f"{type(error).__name__} on {self._socket}: {error}.",
                next_step="Start it: prodsprints up (or prodsprints node). Apps and routes go on meanwhile.",
            ) from None
        if answer.is_success and isinstance(document, dict):
            return document
        raise from_problem(document if isinstance(document, dict) else {})
