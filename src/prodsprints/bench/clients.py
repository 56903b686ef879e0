"""Clients that append to the ledger, or to what it is compared with, as long as they are told: threads of processes."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID, uuid4

from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Role
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.store.address import Address
from prodsprints.store.database import Database

_START_SECONDS = 60.0


@dataclass(frozen=True)
class Crowd:
    """How many clients there are: so many processes with so many threads each."""

    processes: int
    threads: int


class Clients:
    """The clients of one tenant; those of one process share a ledger, as the requests to a server do."""

    def __init__(self, crowd: Crowd, address: Address, home: Path, tenant_id: UUID) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Pipe[Any, Any]] = []
        self._processes = []
        for _ in range(crowd.processes):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_serve, args=(theirs, address.conninfo, str(home), tenant_id, crowd.threads), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Clients:
        for pipe in self._pipes:
            if not pipe.poll(_START_SECONDS):
                raise TimeoutError("a client process did not start")
            pipe.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            with suppress(OSError):
                pipe.send(None)
        for process in self._processes:
            process.join(timeout=10)

    def per_second(self, what: str, seconds: float) -> float:
        """Have all of them do `what` for so long; how often per second they did it together."""
        return sum(self._all((what, seconds, sys.maxsize))) / seconds

    def times(self, what: str, count: int) -> None:
        """Have them do `what` so many times altogether."""
        share, rest = divmod(count, len(self._pipes))
        for number, pipe in enumerate(self._pipes):
            pipe.send((what, 3600.0, share + (number < rest)))
        for pipe in self._pipes:
            pipe.recv()

    def _all(self, command: tuple[str, float, int]) -> list[int]:
        for pipe in self._pipes:
            pipe.send(command)
        return [int(pipe.recv()) for pipe in self._pipes]


def statement(tenant_id: UUID, number: int) -> Statement:
    """One as a drill makes it."""
    return Statement(
        PredicateType.TEST_RESULT,
        (Subject("R001.1", "ab" * 32),),
        {
            "result": "PASSED",
            "configuration": [
                {"name": f"journal/{arm}", "digest": {"sha256": "cd" * 32}} for arm in ("treatment", "placebo")
            ],
            "passedTests": ["the caller is answered", "the provider is left alone", "nothing is lost"],
            "failedTests": [],
            "drill": {
                "tenant": str(tenant_id),
                "environment": "demo",
                "target": "scratch",
                "row": "R001.1",
                "variant": "throttling-storm",
                "outcome": "held",
                "experiment": "ef" * 32,
                "safety": "safe",
                "peers": [{"name": "moto server", "version": "5.2.5", "class": "double"}],
                "scale": "waits are 1/50 of production's",
                "started_at": "2026-11-23T15:29:00.000Z",
                "finished_at": "2026-11-23T15:29:07.000Z",
                "nonce": uuid4().hex,
                "placebo_of": None,
                "measured": {"detect_seconds": 0.21, "recover_seconds": 1.5, "calls_lost": 0, "data_lost": number},
            },
        },
    )


def _serve(pipe: Pipe[Any, Any], conninfo: str, home: str, tenant_id: UUID, threads: int) -> None:
    db = Database(Address(conninfo), max_connections=threads, patience_seconds=10)
    keyring = Keyring.open(Path(home))
    ledger = Ledger(db, tenant_id, keyring)
    ways: dict[str, Callable[[Statement], object]] = {
        "ledger": ledger.append,
        "plain-insert": lambda said: db.once(_PLAIN, [said.to_bytes()]),
        "hash-chain-under-lock": lambda said: _link(db, keyring, tenant_id, said),
    }

    def act(what: str, seconds: float, most: int) -> int:
        done, until = 0, time.monotonic() + seconds
        while done < most and time.monotonic() < until:
            ways[what](statement(tenant_id, done))
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        pipe.send("ready")
        while (command := pipe.recv()) is not None:
            what, seconds, most = command
            share, rest = divmod(most, threads)
            shares = [share + (number < rest) for number in range(threads)]
            pipe.send(sum(pool.map(act, [what] * threads, [seconds] * threads, shares)))
    db.close()


_PLAIN = "insert into plain_rows (said) values (%s) returning id"


def _link(db: Database, keyring: Keyring, tenant_id: UUID, said: Statement) -> None:
    envelope = keyring.signer(tenant_id).envelope(Role.DRILL, said.to_bytes())
    db.once("select append_to_chain(%s)", [envelope.to_bytes()])
