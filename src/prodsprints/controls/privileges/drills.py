"""The drill of S003.4: the database's owner changes the audit log, which is the ledger's or a plain table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from prodsprints.controls.privileges import auditor, refusals
from prodsprints.controls.privileges.audit_log import AuditLog
from prodsprints.controls.privileges.bare_log import BareLog, Operation
from prodsprints.controls.privileges.owner import KINDS, Change, Owner, owner
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.checkpoint import read_notes
from prodsprints.ledger.errors import LedgerTamperedError
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.store import scratch
from prodsprints.store.address import Address
from prodsprints.store.database import Database

_OFTEN = ("delete", "reorder", "truncate", "fork") * 2  # what only a root or the witness shows, if done well
_CUT_OFF = "truncate"
_BATCH = 45  # so many statements at a time get their places
_OPERATIONS = tuple(  # more than 256: a tree stores hashes of such subtrees
    (f"person-{n % 3}", ("grant", "revoke", "approve")[n % 3], f"rôle/{n}") for n in range(270)
)
_ONE_MORE = ("person-0", "approve", "rôle/after")


class Subject(Protocol):
    """An audit log."""

    def record(self, operations: Sequence[Operation]) -> None:
        """Note that they are done."""

    def read(self) -> list[Operation] | None:
        """What stands in the log, in order; None where it refuses to be read."""

    def wrong(self) -> str:
        """What the log says is wrong with it; empty if nothing is."""

    def refuses_to_go_on(self) -> bool:
        """Whether the log is not continued, as it is by a platform that starts again."""


@dataclass(frozen=True)
class Attempt:
    """One change by the owner, and what followed from it."""

    kind: str
    change: Change
    wrong: str
    read: list[Operation] | None
    stopped: bool


@dataclass
class Ground:
    """A database of our schema, its owner, and what the owner tried. Who connects to `address` owns the tables."""

    address: Address
    owner: Owner
    changes: list[Change] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    aim: list[tuple[UUID | None, Subject]] = field(default_factory=list)
    """The tenant whose log the owner goes for, or None for the plain table; the subject puts itself there."""


@contextmanager
def _a_database(stage: Stage) -> Iterator[Ground]:
    with scratch.database(stage.admin) as address, owner(address) as somebody:
        yield Ground(address, somebody)


@contextmanager
def _in_the_ledger(stage: Stage, ground: Ground) -> Iterator[Subject]:
    with closing(Database(ground.address, max_connections=2)) as db:
        tenant_id = uuid4()
        with db.dispatch() as connection:
            connection.execute("insert into tenants (id, name) values (%s, 'drilled')", [tenant_id])
        subject = InTheLedger(db, tenant_id, replace(stage.settings, home=stage.directory, witness=None))
        ground.aim.append((tenant_id, subject))
        yield _with_operations(subject)


@contextmanager
def _in_a_table(_: Stage, ground: Ground) -> Iterator[Subject]:
    with psycopg.connect(ground.address.conninfo, autocommit=True, row_factory=dict_row) as connection:
        subject = BareLog(connection)
        ground.aim.append((None, subject))
        yield _with_operations(subject)


class InTheLedger:
    """The audit log as the platform wires it, with a witness that the owner of the database cannot reach."""

    def __init__(self, db: Database, tenant_id: UUID, settings: Settings) -> None:
        self.db = db
        self.settings = settings
        self.keyring, self.witness = Keyring.open(settings.home), Witness.open(settings)
        self.ledger = Ledger(db, tenant_id, self.keyring)
        self.log = AuditLog(db, self.ledger, keyring=self.keyring, witness=self.witness)
        self.sequencer = Sequencer(db, self.keyring, self.witness)
        self.placed = self.batches = 0

    def record(self, operations: Sequence[Operation]) -> None:
        for first in range(0, len(operations), _BATCH):
            receipts = [self.log.record(*operation) for operation in operations[first : first + _BATCH]]
            self.batches += 1
            self.placed += self.sequencer.sequence(self.ledger.tenant_id)
            self.ledger.wait(receipts[-1])

    def read(self) -> list[Operation] | None:
        try:
            return [(one.person, one.action, one.subject) for one in self.log.operations()]
        except LedgerTamperedError:
            return None

    def wrong(self) -> str:
        report = self.log.verify()
        return "" if report.holds and "whole" in str(report) else str(report)

    def refuses_to_go_on(self) -> bool:
        self.log.record(*_ONE_MORE)
        again = Sequencer(self.db, Keyring.open(self.settings.home), Witness.open(self.settings))
        return _raises(again.sequence, LedgerTamperedError)


def _with_operations(subject: Subject) -> Subject:
    subject.record(_OPERATIONS)
    return subject


@contextmanager
def _the_owner_is_there(_: Stage, _ground: Ground) -> Iterator[None]:
    """What the owner does, the probes watch; the owner puts it back each time."""
    yield


def _is_read_back(_: Stage, _ground: Ground, subject: Subject) -> Observation:
    found = subject.read()
    if found != list(_OPERATIONS):
        return broke(f"{len(_OPERATIONS)} operations were recorded, and read: {found}.")
    return held(f"{len(found)} operations were recorded, and read back in their order.")


def _is_whole(_: Stage, _ground: Ground, subject: Subject) -> Observation:
    wrong = subject.wrong()
    return broke(f"Nobody touched it, and it says: {wrong}") if wrong else held("Nothing is wrong with it.")


def _rows_changed(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    missing = [change.done for change in ground.changes if not change.arrived]
    if missing or not ground.changes:
        return broke(f"The rows are as before: {'; '.join(missing) or 'nothing was tried'}.")
    return held(f"The rows were other ones in each of {len(ground.changes)} attempts.")


def _is_detected(stage: Stage, ground: Ground, _subject: Subject) -> Observation:
    [(log, subject)] = ground.aim
    for kind in (*KINDS, *KINDS, *_OFTEN):
        with ground.owner.changes(log, kind, f"{kind} {len(ground.changes)}") as change:
            ground.changes.append(change)
            began = stage.remaining_seconds
            wrong = subject.wrong()
            stage.sample(bool(wrong), began - stage.remaining_seconds, kind)
            # Only where a log was cut off: whoever goes on with a changed one would witness the change.
            stopped = kind == _CUT_OFF and subject.refuses_to_go_on()
            ground.attempts.append(Attempt(kind, change, wrong, subject.read(), stopped))
    unseen = [one.change.done for one in ground.attempts if not one.wrong or "whole" in one.wrong]
    if unseen:
        return broke(f"{len(unseen)} of {len(ground.attempts)} changes went unnoticed, such as: {unseen[0]}.")
    return held(f"All of {len(ground.attempts)} changes were noticed, such as: {ground.attempts[0].wrong}")


def _nothing_false_is_read(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    """What an end that was cut off took along is missing; nothing may be there that was not said, or elsewhere."""
    for attempt in ground.attempts:
        if attempt.read is not None and attempt.read != list(_OPERATIONS[: len(attempt.read)]):
            return broke(f"After the owner {attempt.change.done}, the log still reads: {attempt.read}.")
    refused = sum(attempt.read is None for attempt in ground.attempts)
    return held(f"Reading was refused {refused} times; the other times the owner had only cut the end off.")


def _is_not_continued(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    went_on = [one.change.done for one in ground.attempts if one.kind == _CUT_OFF and not one.stopped]
    return broke(f"Signed over although the owner {went_on[0]}.") if went_on else held("Nothing was signed over it.")


def _goes_on(_: Stage, _ground: Ground, subject: Subject) -> Observation:
    subject.record([_ONE_MORE])
    if subject.read() != [*_OPERATIONS, _ONE_MORE] or subject.wrong():
        return broke(f"Put back as it was, the log says: {subject.wrong() or 'nothing'}.")
    return held("Put back as it was, the log is whole again and goes on.")


def _an_auditor_agrees(_: Stage, _ground: Ground, subject: Subject) -> Observation:
    assert isinstance(subject, InTheLedger)  # noqa: S101 - looked at in the treatment arm only
    with subject.db.tenant(subject.ledger.tenant_id) as connection:
        found = auditor.complaint(connection, subject.ledger.tenant_id)
    if subject.placed != subject.ledger.size():
        return broke(f"The sequencer says that it placed {subject.placed} statements.")
    [file] = (subject.settings.home / "witness").iterdir()
    if file.stat().st_mode & 0o077 or len(read_notes(file.read_text())) != subject.batches:
        return broke("The witness is open to others, or does not have one note for each batch.")
    return broke(f"An auditor complains: {found}.") if found else held("Signatures, order and roots are as published.")


def _what_is_none_is_refused(_: Stage, _ground: Ground, subject: Subject) -> Observation:
    assert isinstance(subject, InTheLedger)  # noqa: S101 - looked at in the treatment arm only
    taken = refusals.taken(subject.ledger, subject.keyring, subject.witness)
    return broke(f"Taken for evidence: {', '.join(taken)}.") if taken else held("Whatever is no evidence is refused.")


def _proofs_hold(_: Stage, _ground: Ground, subject: Subject) -> Observation:
    assert isinstance(subject, InTheLedger)  # noqa: S101 - looked at in the treatment arm only
    wrong = refusals.wrong_proofs(subject.ledger)
    return broke(f"Not proven: {wrong}.") if wrong else held("Each leads to the signed root.")


def _raises(act: Callable[[], object], error: type[Exception]) -> bool:
    try:
        act()
    except error:
        return True
    return False


tampered_log = Experiment(
    row="S003.4",
    variant="database-owner",
    title="The database's owner edits, deletes, reorders, truncates and forks the audit log",
    safety=Safety.SAFE,
    fault="the owner of the database changes the log's rows, and makes fit what it can without a key",
    sources=(
        "prodsprints.controls.privileges.audit_log",
        *(
            f"prodsprints.ledger.{name}"
            for name in (
                *("statement", "envelope", "keys", "checkpoint", "merkle", "tree"),
                *("log", "reading", "examination", "verification", "sequencer", "witness"),
            )
        ),
    ),
    uses=(
        "prodsprints.controls.privileges.auditor",
        "prodsprints.controls.privileges.refusals",
        *(f"prodsprints.ledger.{name}" for name in ("errors", "keyring", "staging", "people", "git")),
        "prodsprints.store.migrations.versions.r0002_ledger:0002_ledger.sql",
        "prodsprints.store.database",
        "prodsprints.kernel.errors",
        "prodsprints.kernel.files",
    ),
    peers=(Peer("PostgreSQL", "the platform's own", PeerClass.ENGINE),),
    stand=_a_database,
    treatment=_in_the_ledger,
    placebo=_in_a_table,
    steady=(
        Probe("what is recorded is read back", _is_read_back),
        Probe("an untouched log is whole", _is_whole),
    ),
    inject=_the_owner_is_there,
    seen=Probe("the rows were changed each time", _rows_changed),
    probes=(
        Probe("the change is detected", _is_detected),
        Probe("nothing false is read", _nothing_false_is_read),
        Probe("a log that was cut off is not continued", _is_not_continued),
    ),
    named="the change is detected",
    after=(
        Probe("the log goes on when it is put back", _goes_on),
        Probe("an auditor with other tools finds nothing", _an_auditor_agrees),
        Probe("each entry and each older log is proven", _proofs_hold),
        Probe("what is no evidence is refused", _what_is_none_is_refused),
    ),
    limit_seconds=40,
    scale=f"a log of {len(_OPERATIONS)} operations, changed in {len(KINDS)} ways, two to four times each",
)
