"""`bench register`: the register of 10,000 risks over a log of 1,000,000 statements.

The log is a real one: every statement is signed, stored in commits of 256 as the ledger gathers them under load, and
given its place by the sequencer, which takes several minutes before the first figure. It holds drills of 50,000 rows,
which ended within the last six days. What is measured is what a web process does: it hears the log from its snapshot
and the thousand statements behind it, assesses every row, and serves the first page over HTTP on loopback. The digests
of the controls are given: no register names 50,000 modules to be hashed.
"""

from __future__ import annotations

import multiprocessing
import random
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count, islice
from statistics import median, quantiles
from uuid import UUID

import httpx
import uvicorn

from prodsprints.bench import clients
from prodsprints.bench.report import Figure, Progress, Result
from prodsprints.bench.scratch import scratch
from prodsprints.drills.catalog import Catalog, Drill
from prodsprints.drills.experiment import Experiment, Peer, PeerClass, Probe, Safety, held
from prodsprints.kernel import clock
from prodsprints.kernel.settings import Settings
from prodsprints.ledger import staging
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Role
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.statement import Statement, Subject
from prodsprints.ledger.witness import Witness
from prodsprints.register import documents, heatmap
from prodsprints.register.assessor import Assessor
from prodsprints.register.effectiveness import effectiveness
from prodsprints.register.model import FailurePath, Kind, Mitigation, Risk
from prodsprints.register.register import Register
from prodsprints.store.address import Address
from prodsprints.store.database import Database
from prodsprints.web.app import create_app

_BENCH = "register"
_RISKS = 10_000
_ROWS_A_RISK = 5
_STATEMENTS = 1_000_000
_TAIL = 1_000
_BATCH = 256
_DAYS = 6
_SHARE_FAILED = 0.01
_STARTS = 7
_WARM_UP = 5
_REQUESTS = 200
_DRAWINGS = 25
_START_SECONDS = 120.0
_ENVIRONMENT = "demo"
_TENANT = "bench"
_VARIANT = "storm"
_SHA256 = "ab" * 32


def cases(progress: Progress) -> Iterator[Result]:
    """`status-all`, `home-p95` and `heatmap-svg`."""
    with scratch() as platform:
        house = _House(platform.db, platform.settings, platform.tenant(_TENANT), _register())
        whole = house.fill(progress)
        yield _status_all(house, whole, progress)
        yield _home(house, progress)
        yield _heatmap(house, progress)


@dataclass(frozen=True)
class _Given(Catalog):
    """A catalog whose drills need no module."""

    given: Mapping[str, tuple[Drill, ...]] = field(default_factory=dict)

    def drills(self, row: str) -> tuple[Drill, ...]:
        return self.given[row]


@dataclass(frozen=True)
class _House:
    """The tenant with its log, and what a process needs to read it."""

    db: Database
    settings: Settings
    tenant: UUID
    register: Register

    def assessor(self) -> Assessor:
        """What a process has that has just started."""
        effectiveness.cache_clear()
        catalog = _Given({}, given={row.id: (_drill(row),) for row in self.register.mitigations})
        keyring, witness = Keyring.open(self.settings.home), Witness.open(self.settings)
        return Assessor(self.db, keyring, witness, catalog, lambda _: self.register)

    def fill(self, progress: Progress) -> float:
        """Write the log, and a tail behind its snapshot; how many seconds the whole of it took to hear without one."""
        keyring = Keyring.open(self.settings.home)
        statements = _statements(self.tenant, self.register)
        Ledger(self.db, self.tenant, keyring).append(next(statements))  # which announces the keys, too
        progress(f"signing, storing and sequencing {_STATEMENTS:,} statements")
        self._write(islice(statements, _STATEMENTS - 2 - _TAIL), keyring, progress)
        progress("hearing all of them, without a snapshot")
        seconds = _seconds_to_assess(self, self.assessor())
        self._write(islice(statements, _TAIL), keyring, progress)
        return seconds

    def _write(self, statements: Iterator[Statement], keyring: Keyring, progress: Progress) -> None:
        sequencer = Sequencer(self.db, keyring, Witness.open(self.settings))
        with keyring.speaking(self.tenant) as signer:
            for number in count(1):
                batch = [(Role.DRILL, one.to_bytes()) for one in islice(statements, _BATCH)]
                if not batch:
                    return
                staging.store(self.db, signer, batch)
                sequencer.sequence()
                if number % 500 == 0:
                    progress(f"{number * _BATCH:,} are in the log")


def _status_all(house: _House, whole: float, progress: Progress) -> Result:
    progress(f"hearing and assessing as a new process does, {_STARTS} times")
    seconds = [_seconds_to_assess(house, house.assessor()) for _ in range(_STARTS)]
    assessor = house.assessor()
    _seconds_to_assess(house, assessor)
    again = [_seconds_to_assess(house, assessor) for _ in range(_STARTS)]
    peers = {"unchanged-again": median(again), "without-snapshot": whole}
    return Result(_BENCH, "status-all", "s", _figure(seconds), peers, bound=2)


def _seconds_to_assess(house: _House, assessor: Assessor) -> float:
    began = time.perf_counter()
    counts = assessor.assess(house.tenant, _ENVIRONMENT).counts
    seconds = time.perf_counter() - began
    assert counts.mitigations == _RISKS * _ROWS_A_RISK and counts.proven and counts.failing  # noqa: S101 - all of it
    return seconds


def _home(house: _House, progress: Progress) -> Result:
    progress(f"asking for the first page {_REQUESTS} times")
    seconds = []
    with _server(house) as client:
        for _ in range(_WARM_UP + _REQUESTS):
            began = time.perf_counter()
            answer = client.get("/")
            seconds.append(time.perf_counter() - began)
            assert answer.status_code == 200 and "more</text>" in answer.text, answer.text[:500]  # noqa: S101 - the page with its map
    seconds = seconds[_WARM_UP:]
    figure = Figure(quantiles(seconds, n=20)[-1], len(seconds), min(seconds), max(seconds))
    return Result(_BENCH, "home-p95", "s", figure, {"median": median(seconds)}, bound=0.15)


@contextmanager
def _server(house: _House) -> Iterator[httpx.Client]:
    """A web process of that house, and a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = replace(house.settings, port=port)
    arguments = (house.db.address.conninfo, settings, house.tenant)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments, daemon=True)
    process.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait_for(client)
            yield client
    finally:
        process.terminate()
        process.join(timeout=10)


def _serve(conninfo: str, settings: Settings, tenant: UUID) -> None:
    db = Database(Address(conninfo))
    house = _House(db, settings, tenant, _register())
    app = create_app(settings, db, reader_tenant=_TENANT)
    app.state.site = replace(
        app.state.site, register=house.register, register_of=lambda _: house.register, assessor=house.assessor()
    )
    uvicorn.run(app, host="127.0.0.1", port=settings.port, log_level="warning", access_log=False)


def _wait_for(client: httpx.Client) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if client.get("/v1/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError(f"the web process did not answer within {_START_SECONDS:g} s")


def _heatmap(house: _House, progress: Progress) -> Result:
    progress(f"drawing the heat map {_DRAWINGS} times")
    assessment = house.assessor().assess(house.tenant, _ENVIRONMENT)
    seconds = []
    for _ in range(_DRAWINGS):
        began = time.perf_counter()
        heatmap.svg(house.register, assessment=assessment)
        seconds.append(time.perf_counter() - began)
    return Result(_BENCH, "heatmap-svg", "s", _figure(seconds), bound=0.2)


def _figure(seconds: list[float]) -> Figure:
    return Figure(median(seconds), len(seconds), min(seconds), max(seconds))


# --- what is measured on ----------------------------------------------------------------------------------------------


def _register() -> Register:
    """Our own 24 risks over and over, each row with a drill and each risk with a path that all of its rows hold."""
    ours = documents.ours()
    risks = (_risk(f"R{number:05}", ours.risks[number % len(ours.risks)]) for number in range(_RISKS))
    return replace(ours, risks=tuple(risks))


def _risk(id: str, like: Risk) -> Risk:
    rows = tuple(
        replace(
            like.mitigations[place % len(like.mitigations)],
            id=f"{id}.{place + 1}",
            kind=Kind.CONTROL,
            control=f"module_{place}:control",
            drills=(f"drills:{_VARIANT}",),
            lacks=(),
        )
        for place in range(_ROWS_A_RISK)
    )
    return replace(like, id=id, mitigations=rows, paths=(FailurePath("every way", 1.0, tuple(row.id for row in rows)),))


def _drill(row: Mitigation) -> Drill:
    look = Probe[None, None]("served", lambda *_: held("It is served."))
    experiment = Experiment[None, None](
        row=row.id,
        variant=_VARIANT,
        title="A storm",
        safety=Safety.SAFE,
        fault="the peer answers 429",
        sources=("prodsprints.kernel.clock",),
        peers=(Peer("nobody", "1", PeerClass.DOUBLE),),
        stand=lambda _: nullcontext(),
        treatment=lambda *_: nullcontext(),
        placebo=lambda *_: nullcontext(),
        steady=(look,),
        inject=lambda *_: nullcontext(),
        seen=replace(look, name="seen"),
        probes=(replace(look, name="served under the fault"),),
        named="served under the fault",
    )
    return Drill(row.drills[0], experiment, _SHA256, _SHA256)


def _statements(tenant: UUID, register: Register) -> Iterator[Statement]:
    """Drills of random rows that ended within the last six days, one in a hundred failing; always the same ones."""
    chosen = random.Random(7)  # noqa: S311 - a sample, no secret
    now, rows = clock.now(), register.mitigations
    for number in count():
        row = chosen.choice(rows).id
        ended = clock.iso(now - timedelta(seconds=chosen.uniform(0, _DAYS * 86_400)))
        outcome = "failed" if chosen.random() < _SHARE_FAILED else "held"
        like = clients.statement(tenant, number)
        drill = {**like.predicate["drill"], "row": row, "variant": _VARIANT, "outcome": outcome, "finished_at": ended}
        predicate = {**like.predicate, "result": "PASSED" if outcome == "held" else "FAILED", "drill": drill}
        yield replace(like, subjects=(Subject(row, _SHA256),), predicate=predicate)
