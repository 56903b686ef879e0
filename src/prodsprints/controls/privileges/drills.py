"""The drill of S003.4: the database's owner changes the audit log, which is the ledger's or a plain table."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from prodsprints.controls.privileges import tampering
from prodsprints.controls.privileges.audit_log import AuditLog
from prodsprints.controls.privileges.tampering import EVERY, Tampering
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.ledger.errors import LedgerTamperedError
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.store import scratch
from prodsprints.store.address import Address
from prodsprints.store.database import Connection, Database

_SEEDS = 4
_OPERATIONS = tuple(
    (f"person-{number % 3}", ("grant", "revoke", "approve")[number % 3], f"role/{number}") for number in range(12)
)

Done = tuple[str, str, str]


@dataclass(frozen=True)
class Attempt:
    """One change by the owner: whether the rows differed, who noticed by verifying, and what was read meanwhile."""

    kind: str
    done: str
    changed: bool
    noticed: str
    read: tuple[Done, ...] | None


@dataclass
class Ground:
    """A database of our schema, its owner, and what the owner tried. Who connects to `address` owns all tables."""

    address: Address
    owner: Connection
    attempts: list[Attempt] = field(default_factory=list)
    subjects: list[Subject] = field(default_factory=list)


@dataclass(frozen=True)
class Subject:
    """An audit log, and how its owner gets at it.

    `noticed` says what is wrong with the log, nothing if nothing is; `read` is what stands in it, None where reading
    refuses; `go_on` adds what waits, as the platform does after a restart, and says what it refuses.
    """

    record: Callable[[Done], object]
    read: Callable[[], tuple[Done, ...] | None]
    noticed: Callable[[], str]
    go_on: Callable[[], str]
    fingerprint: Callable[[], str]
    tampered: Callable[[str, Random], AbstractContextManager[str]]


@contextmanager
def _a_database(stage: Stage) -> Iterator[Ground]:
    with (
        scratch.database(stage.admin) as address,
        psycopg.connect(address.conninfo, autocommit=True, row_factory=dict_row, connect_timeout=5) as owner,
    ):
        owner.execute("set synchronous_commit = off")  # the owner's changes need not last
        yield Ground(address, owner)


@contextmanager
def _with_the_ledger(stage: Stage, ground: Ground) -> Iterator[Subject]:
    row = ground.owner.execute("select gen_random_uuid() as id").fetchone()
    tenant_id = UUID(str(row and row["id"]))
    _unbound_insert(ground.owner, tenant_id)
    settings = replace(stage.settings, home=stage.directory, witness=None)
    with closing(Database(ground.address, max_connections=2)) as db:
        keyring, witness = Keyring.open(settings.home), Witness.open(settings)
        log = AuditLog(db, Ledger(db, tenant_id, keyring), keyring=keyring, witness=witness)

        def read() -> tuple[Done, ...] | None:
            try:
                return tuple((one.person, one.action, one.subject) for one in log.operations())
            except LedgerTamperedError:
                return None

        def noticed() -> str:
            report = log.verify()
            return "" if report.holds else str(report)

        def go_on() -> str:
            try:
                Sequencer(db, Keyring.open(settings.home), Witness.open(settings)).sequence()
            except LedgerTamperedError as error:
                return error.what
            return ""

        kinds = {one.kind: one for one in EVERY}

        def change(kind: str, random: Random) -> AbstractContextManager[str]:
            return tampering.tampered(ground.owner, tenant_id, kinds[kind], random)

        yield _filled(
            ground,
            Subject(
                record=lambda done: log.record(*done),
                read=read,
                noticed=noticed,
                go_on=go_on,
                fingerprint=lambda: tampering.fingerprint(ground.owner),
                tampered=change,
            ),
        )
