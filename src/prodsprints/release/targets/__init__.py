"""Where a release can go: the seam between what is released and what runs it. `local` is this machine's node agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prodsprints.runtime.values import Arm


@dataclass(frozen=True)
class Workload:
    """What is to run: an unpacked image and how to start it. `env` may hold secrets: it is never logged."""

    release: str
    label: str
    digest: str
    rootfs: Path
    readable: tuple[Path, ...]
    workdir: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    prepare: tuple[tuple[str, ...], ...]
    health_path: str
    health_any: bool


@dataclass(frozen=True)
class Instance:
    """A workload as the target sees it now: `state` as in runtime/values.py, `reason` in words if it is not healthy."""

    id: str
    state: str
    reason: str
    restarts: int


@dataclass(frozen=True)
class Route:
    """Who serves an environment, on which port; `confirmed_seconds` is how long the proxy took to say so."""

    arms: tuple[Arm, ...]
    port: int
    confirmed_seconds: float


@dataclass(frozen=True)
class Counted:
    """What one instance answered since the proxy began counting. Compare only readings of one `generation`."""

    generation: int
    requests: int
    errors: int


class Target(Protocol):
    """What a rollout asks of the place it releases to. Everything that changes carries the fencing token."""

    def start(self, environment: str, instance: str, workload: Workload, fencing_token: int) -> None:
        """Have `workload` starting or running as `instance`; repeating changes nothing."""

    def instance(self, instance: str) -> Instance | None:
        """The instance's state, or None if the target knows none such."""

    def stop(self, instance: str, fencing_token: int) -> None:
        """Drain and stop; an unknown instance is fine."""

    def route(self, environment: str) -> Route | None:
        """Who serves the environment now, or None if nobody does."""

    def set_route(self, environment: str, arms: Sequence[Arm], fencing_token: int) -> Route:
        """Change who serves it; returns when the proxy has confirmed the change."""

    def drop_route(self, environment: str, fencing_token: int) -> None:
        """Serve nothing anymore; an unknown route is fine."""

    def counters(self, environment: str) -> Mapping[str, Counted]:
        """What each routed instance answered, by instance."""
