"""The sequencer: gives each stored statement its place in its tenant's log, and signs a checkpoint per batch."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.ledger import merkle, reading
from prodsprints.ledger.checkpoint import Checkpoint, leaf_data
from prodsprints.ledger.errors import LedgerTamperedError, WitnessError
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Keys
from prodsprints.ledger.merkle import Frontier, Node
from prodsprints.ledger.tree import StoredTree, edge, is_stored
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Connection, Database, one
from prodsprints.store.errors import DatabaseUnavailableError

_log = logging.getLogger(__name__)

LOCK = 0x70726F6473707269
"""The advisory lock under which a batch is written, fleet-wide."""

_BATCH = 1_000
_BUSY_SECONDS = 0.05
_IDLE_SECONDS = 0.1
_STANDBY_SECONDS = 1.0
_REFUSED_SECONDS = 30.0
_PUBLISH_SECONDS = 5.0


class Sequencer:
    """One thread; any number may run in a fleet, and one at a time writes a batch.

    A batch takes statements from the queue, adds their entries and a signed checkpoint in one transaction, so that a
    sequencer may be killed between any two of its steps. Then the checkpoint goes to the witness; one that a killed
    sequencer did not bring there is brought by the next, who first proves that it continues what the witness has.
    """

    def __init__(self, db: Database, keyring: Keyring, witness: Witness) -> None:
        self._db = db
        self._keyring = keyring
        self._witness = witness
        self._logs: dict[UUID, _Log] = {}
        self._refused: dict[UUID, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch that is being written; what waits stays stored."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def sequence(self, *tenants: UUID) -> int:
        """Give all statements that wait now, or those of `tenants`, their place; how many there were.

        Raises what keeps it from that: LedgerTamperedError, KeyLostError, WitnessError.
        """
        total = 0
        while waiting := [one for one in self._waiting() if one in tenants or not tenants]:
            for tenant_id in waiting:
                total += self._batch(tenant_id) or 0
        self._witness.publish()
        return total

    def _run(self) -> None:
        pause, published = 0.0, time.monotonic()
        caught_up = False
        while not self._stop.wait(pause):
            try:
                if not caught_up:
                    self._catch_up()
                    caught_up = True
                done = self.look()
                pause = _BUSY_SECONDS if done else min(_IDLE_SECONDS, 2 * pause + _BUSY_SECONDS)
                if done is None:
                    pause = _STANDBY_SECONDS
                if time.monotonic() - published > _PUBLISH_SECONDS:
                    published = time.monotonic()
                    self._witness.publish()
            except DatabaseUnavailableError as error:
                _log.warning("%s", error.what)
                pause = _STANDBY_SECONDS
            except ProdSprintsError as error:
                _log.error("%s", error)
                pause = _STANDBY_SECONDS
            except Exception:
                # Whatever it is, statements wait: a sequencer that ended without a word would keep them waiting.
                _log.exception("the sequencer failed, and tries again")
                pause = _STANDBY_SECONDS
        with contextlib.suppress(WitnessError):
            self._witness.publish()

    def look(self) -> int | None:
        """One batch for each log that has something waiting; None when another sequencer is at it."""
        total = 0
        for tenant_id in self._waiting():
            if time.monotonic() < self._refused.get(tenant_id, 0.0):
                continue
            try:
                done = self._batch(tenant_id)
            except DatabaseUnavailableError:
                raise
            except ProdSprintsError as error:
                _log.error("nothing is added to the log of tenant %s: %s", tenant_id, error)
                self._refused[tenant_id] = time.monotonic() + _REFUSED_SECONDS
                continue
            if done is None:
                return None
            total += done
        return total

    def _waiting(self) -> list[UUID]:
        return list(one(self._db.once("select ledger_waiting() as tenants", []))["tenants"])

    def _catch_up(self) -> None:
        """Bring the witness what a killed sequencer did not, and find out at once if a log was taken back."""
        for tenant_id in logs(self._db):
            try:
                if self._keyring.has(tenant_id):
                    with self._db.sequencer() as connection:
                        if _alone(connection):
                            self._logs[tenant_id] = self._known(connection, tenant_id)
            except DatabaseUnavailableError:
                raise
            except ProdSprintsError as error:
                _log.error("the log of tenant %s: %s", tenant_id, error)

    def _batch(self, tenant_id: UUID) -> int | None:
        """Move up to a batch of one log's statements from the queue into the log. None without the lock."""
        with self._db.sequencer() as connection:
            if not _alone(connection):
                return None
            log = self._known(connection, tenant_id)
            signer = self._keyring.signer(tenant_id)
            taken = one(connection.execute(_TAKE, _what_to_take(signer.keys)).fetchone())
            if taken["refused"]:
                # It would stand in the log for ever, and nobody could verify it.
                _log.error("not added to the log of %s: statements %s of foreign keys", tenant_id, taken["refused"])
            if not taken["ids"]:
                return int(taken["count"])
            # A clock that goes backwards does not take the log with it.
            at = taken["now"] if log.checkpoint is None else max(taken["now"], log.checkpoint.at)
            frontier = log.frontier.copy()
            leaves = [merkle.leaf_hash(leaf_data(at, digest)) for digest in merkle.hashes_in(taken["digests"])]
            filled = [node for leaf in leaves for node in frontier.append(leaf) if is_stored(node)]
            checkpoint = Checkpoint.signed(signer, size=frontier.size, root=frontier.root(), at=at)
            first = log.frontier.size
            connection.execute(_ADD_ENTRIES, [tenant_id, first - 1, at, b"".join(leaves), taken["ids"]])
            _add_nodes(connection, tenant_id, filled)
            connection.execute(
                "insert into ledger_checkpoints (tenant_id, size, at, note, frontier) values (%s, %s, %s, %s, %s)",
                [tenant_id, checkpoint.size, at, checkpoint.note, b"".join(frontier.hashes)],
            )
        self._logs[tenant_id] = _Log(checkpoint, frontier)
        self._witness.record(checkpoint)
        return int(taken["count"])

    def _known(self, connection: Connection, tenant_id: UUID) -> _Log:
        """The log as far as it is signed; to be called alone.

        It is read again, and proven, only when it is not as this sequencer left it.
        """
        row = connection.execute(
            "select note, frontier from ledger_checkpoints where tenant_id = %s order by size desc limit 1", [tenant_id]
        ).fetchone()
        left = self._logs.get(tenant_id)
        if left is not None and left.checkpoint is not None and row is not None and left.checkpoint.note == row["note"]:
            return left
        last = self._witness.last(tenant_id)
        known = max((one for one in (left and left.checkpoint, last) if one), key=lambda one: one.size, default=None)
        if row is None:
            if known is not None:
                raise _taken_back(known, 0)
            return _Log(None, Frontier())
        keys = self._keyring.keys(tenant_id)
        checkpoint = reading.signed_checkpoint(row["note"], keys)
        frontier = edge(checkpoint, row["frontier"])
        if known is not None:
            known.verify(keys)
            _refuse_other_history(connection, known, checkpoint)
        if last is None or last.size < checkpoint.size:
            self._witness.record(checkpoint)
        return _Log(checkpoint, frontier)


@dataclass(frozen=True)
class _Log:
    """What was signed of one log, and the edge at which it grows."""

    checkpoint: Checkpoint | None
    frontier: Frontier


# In one row: bytes in a row are a tenth of the work of as many rows.
_TAKE = """
with taken as (
  delete from ledger_queue
  where tenant_id = %(tenant)s and statement_id in (
    select statement_id from ledger_queue where tenant_id = %(tenant)s order by statement_id limit %(most)s)
  returning statement_id
), found as (
  select s.id, s.envelope_digest, s.key_id = any(%(keys)s) as may
  from taken join ledger_statements s on s.tenant_id = %(tenant)s and s.id = taken.statement_id
  where not exists (select from ledger_entries e where e.statement_id = s.id)
)
select clock_timestamp() as now,
       (select count(*) from taken) as count,
       array_agg(id order by id) filter (where may) as ids,
       string_agg(envelope_digest, '' order by id) filter (where may) as digests,
       array_agg(id order by id) filter (where not may) as refused
from found
"""

_ADD_ENTRIES = """
insert into ledger_entries (tenant_id, index, at, leaf, statement_id)
select tenant, before + place, at, substring(leaves from 32 * place::int - 31 for 32), id
from (select %s::uuid as tenant, %s::bigint as before, %s::timestamptz as at, %s::bytea as leaves) as batch,
     unnest(%s::bigint[]) with ordinality as one (id, place)
"""


# The logs that there are, by one look into the index for each of them.
def logs(db: Database) -> list[UUID]:
    """The tenants whose logs have entries."""
    with db.sequencer() as connection:
        return [row["tenant_id"] for row in connection.execute(_ALL_LOGS).fetchall()]


_ALL_LOGS = """
with recursive logs as (
  (select tenant_id from ledger_checkpoints order by tenant_id limit 1)
  union all
  select (select c.tenant_id from ledger_checkpoints c where c.tenant_id > logs.tenant_id order by c.tenant_id limit 1)
  from logs where logs.tenant_id is not null
)
select tenant_id from logs where tenant_id is not null
"""


def _alone(connection: Connection) -> bool:
    """Whether this transaction is the one in the fleet that writes now; it is until it ends."""
    row = connection.execute("select pg_try_advisory_xact_lock(%s) as held", [LOCK]).fetchone()
    return bool(one(row)["held"])


def _what_to_take(keys: Keys) -> dict[str, Any]:
    return {"tenant": keys.tenant_id, "most": _BATCH, "keys": [key.id for key in keys.keys if key.is_current]}


def _add_nodes(connection: Connection, tenant_id: UUID, nodes: list[Node]) -> None:
    if nodes:
        connection.execute(
            "insert into ledger_nodes (tenant_id, level, number, hash)"
            " select %s, * from unnest(%s::smallint[], %s::bigint[], %s::bytea[])",
            [
                tenant_id,
                [node.level for node in nodes],
                [node.number for node in nodes],
                [node.hash for node in nodes],
            ],
        )


def _refuse_other_history(connection: Connection, known: Checkpoint, found: Checkpoint) -> None:
    """What was seen before must be the beginning of what is found: else the log was taken back, or is another one."""
    if known.size > found.size:
        raise _taken_back(known, found.size)
    tree = StoredTree(connection, found.tenant_id)
    proof = merkle.consistency_proof(tree.subtree, known.size, found.size)
    if not merkle.verify_consistency(known.size, found.size, known.root, found.root, proof):
        raise LedgerTamperedError(
            f"The log does not continue the one that was witnessed at {known.size}.", kind="forked", index=known.size
        )


def _taken_back(known: Checkpoint, size: int) -> LedgerTamperedError:
    return LedgerTamperedError(
        f"The log has {size} entries; {known.size} were witnessed.",
        kind="truncated",
        index=size,
        why="Its end was cut off, or the database was restored from an older backup.",
    )
