"""What one arm of one run works with: a scratch place, the time that is left, and where its samples go."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsprints.drills.errors import ExperimentError
from prodsprints.kernel.settings import Settings

if TYPE_CHECKING:
    from prodsprints.drills.faults.control import FaultControl
    from prodsprints.store.address import Address

MEASURES = frozenset({"detect_seconds", "recover_seconds", "calls_lost", "data_lost"})

Emit = Callable[[dict[str, Any]], None]


class Arm(StrEnum):
    """With the control, or without it."""

    TREATMENT = "treatment"
    PLACEBO = "placebo"


class Stage:
    """One arm of one run, as its experiment sees it.

    `directory` is a new and empty place that is removed afterwards; `admin` is a PostgreSQL role that may create
    databases (None where there is none); `config` the effective configuration without its secrets.
    """

    def __init__(
        self,
        *,
        directory: Path,
        settings: Settings,
        admin: Address | None,
        arm: Arm,
        config: Mapping[str, Any],
        limit_seconds: float,
        emit: Emit,
    ) -> None:
        self.directory = directory
        self.settings = settings
        self.admin = admin
        self.arm = arm
        self.config = config
        self._emit = emit
        self._deadline = time.monotonic() + limit_seconds

    @property
    def remaining_seconds(self) -> float:
        """How long this arm may still take; at zero it is ended, without a verdict."""
        return max(0.0, self._deadline - time.monotonic())

    def sample(self, ok: bool, seconds: float, label: str = "") -> None:
        """One call of the subject that just ended, drawn on the chart. Any thread may say so."""
        self._emit({"kind": "sample", "ok": bool(ok), "seconds": _figure("sample", seconds), "label": label[:40]})

    def measure(self, name: str, value: float) -> None:
        """A figure of this run: `detect_seconds`, `recover_seconds`, `calls_lost` or `data_lost`; the last counts."""
        if name not in MEASURES:
            raise ExperimentError(f"A drill has no measure {name!r}.", next_step=f"Use one of {sorted(MEASURES)}.")
        self._emit({"kind": "measure", "name": name, "value": _figure(name, value)})

    @cached_property
    def faults(self) -> FaultControl:
        """The process in which this arm's fault devices live; started by the first one."""
        from prodsprints.drills.faults.control import FaultControl

        return FaultControl()

    @contextmanager
    def open(self) -> Iterator[Stage]:
        """For the length of the arm; afterwards no fault of it is left."""
        try:
            yield self
        finally:
            if "faults" in self.__dict__:
                self.faults.close()


def _figure(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ExperimentError(f"The figure {name} is {value}.", next_step="Tell only what was measured.")
    return round(float(value), 6)
