"""`bench register`: the register of 10,000 risks over a log of 1,000,000 statements.

The log is a real one: every statement is signed, stored in commits of 256 as the ledger gathers them under load, and given
its place by the sequencer, which takes several minutes before the first figure. It holds 50,000 drilled rows, each drill's
end somewhere in the last six days. What is measured is what a web process does: it hears the log from its snapshot and the
thousand statements behind it, assesses every row, and serves the page over HTTP on loopback. The digests of the controls
are given: no register names 50,000 modules to be hashed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from threading import Thread
from typing import Any
from uuid import UUID

import httpx
import uvicorn

from prodsprints.bench.report import Figure, Progress, Result
from prodsprints.bench.scratch import Scratch, scratch
from prodsprints.drills.catalog import Catalog, Drill
from prodsprints.drills.experiment import Experiment
from prodsprints.ledger import staging
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Role
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.ledger.witness import Witness
from prodsprints.register import documents, heatmap
from prodsprints.register.assessor import Assessor
from prodsprints.register.effectiveness import effectiveness
from prodsprints.register.model import FailurePath, Kind, Mitigation, Risk
from prodsprints.register.register import Register
from prodsprints.web.app import create_app
from prodsprints.web.site import Site

_RISKS = 10_000
_ROWS_A_RISK = 5
_STATEMENTS = 1_000_000
_TAIL = 1_000
_BATCH = 256
_STARTS = 7
_REQUESTS = 200
_DRAWINGS = 25
_ENVIRONMENT = "demo"
_TENANT = "bench"
_VARIANT = "storm"
_DAYS = 6
_SHA256 = "ab" * 32


def cases(progress: Progress) -> Iterator[Result]:
    """`status-all`, `home-p95` and `heatmap-svg`."""
    register = _register()
    with scratch() as platform:
        house = _House.built(platform, register)
        house.fill(progress)
        yield _status_all(house, progress)
        yield _home(house, progress)
        yield _heatmap(house, progress)


@dataclass(frozen=True)
class _Given(Catalog):
    """A catalog whose drills need no module."""

    def drills(self, row: str) -> tuple[Drill, ...]:
        return self._given[row]

    @property
    def _given(self) -> dict[str, tuple[Drill, ...]]:
        given: dict[str, tuple[Drill, ...]] = self.config["given"]
        return given


@dataclass(frozen=True)
class _House:
    """The tenant with its log, and what a process needs to read it."""

    platform: Scratch
    register: Register
    tenant: UUID
    keyring: Keyring
    witness: Witness
    catalog: Catalog

    @staticmethod
    def built(platform: Scratch, register: Register) -> _House:
        home = platform.settings.home
        return _House(
            platform,
            register,
            platform.tenant(_TENANT),
            Keyring.open(home),
            Witness.open(platform.settings),
            _Given({}, {"given": {row.id: (_drill(row),) for row in register.mitigations}}),
        )

    def started(self) -> Assessor:
        """What a process has that has just started."""
        effectiveness.cache_clear()
        return Assessor(self.platform.db, self.keyring, self.witness, self.catalog, lambda _: self.register)

    def fill(self, progress: Progress) -> None:
        """Write the log, and hear it once, which leaves a snapshot; then write what a new process has to replay."""
        ledger = Ledger(self.platform.db, self.tenant, self.keyring)
        statements = _statements(self.tenant, self.register)
        ledger.append(next(statements))
        sequencer = Sequencer(self.platform.db, self.keyring, self.witness)
        progress(f"signing, storing and sequencing {_STATEMENTS:,} statements")
        began = time.monotonic()
        self._append(statements, _STATEMENTS - 2 - _TAIL, sequencer, progress)
        progress(f"{(_STATEMENTS - _TAIL) / (time.monotonic() - began):,.0f} a second")
