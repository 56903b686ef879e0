"""Reading a log page by page: each entry verified by itself, and the page against the newest checkpoint."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any, LiteralString
from uuid import UUID

from prodsprints.ledger import merkle
from prodsprints.ledger.checkpoint import Checkpoint, leaf_data
from prodsprints.ledger.envelope import Envelope
from prodsprints.ledger.errors import (
    BundleError,
    EnvelopeError,
    KeyRevokedError,
    LedgerTamperedError,
    NoSuchEntryError,
    SignatureError,
    StatementError,
)
from prodsprints.ledger.keys import Keys
from prodsprints.ledger.statement import Statement
from prodsprints.ledger.tree import StoredTree
from prodsprints.store.database import Connection, Database, patient


@dataclass(frozen=True)
class Entry:
    """What was said at one place of the log; `at` is the database's time when it got there."""

    index: int
    at: datetime
    envelope: Envelope
    statement: Statement


@dataclass(frozen=True)
class StoredEntry:
    """One entry as the database holds it, not verified; with the hashes that lead to the checkpoint, if wanted."""

    index: int
    at: datetime
    envelope: bytes
    proof: tuple[bytes, ...] | None = None


@dataclass(frozen=True)
class Page:
    """Some rows of a log, and the hashes of all the rest of it, which lead from them to the checkpoint's root."""

    rows: list[dict[str, Any]]
    note: str
    left: tuple[bytes, ...]
    right: tuple[tuple[int, bytes], ...]

    def entries(self, keys: Keys, after: int) -> list[Entry | None]:
        """The verified entries of the rows, None for what a revoked key said. Raises LedgerTamperedError."""
        found = [_verified(keys, row, after + 1 + offset) for offset, row in enumerate(self.rows)]
        if found:
            self._refuse_another_root(signed_checkpoint(self.note, keys), after + 1)
        return found

    def _refuse_another_root(self, checkpoint: Checkpoint, first: int) -> None:
        frontier = merkle.Frontier(first, self.left)
        frontier.extend(row["leaf"] for row in self.rows)
        for level, hash in self.right:
            frontier.append(hash, level)
        if not hmac.compare_digest(frontier.root(), checkpoint.root):
            raise unlike(checkpoint, first)


@patient
def page(db: Database, tenant_id: UUID, *, after: int, limit: int) -> Page:
    """Up to `limit` rows behind `after` that the newest checkpoint counts. Raises LedgerTamperedError."""
    with db.tenant(tenant_id) as connection:
        # The checkpoint first: whatever it counts never changes, although the sequencer goes on meanwhile.
        note = newest_note(connection, tenant_id)
        size = 0 if note is None else read_checkpoint(note).size
        end = min(size, after + 1 + limit)
        if note is None or end <= after + 1:
            return Page([], "", (), ())
        rows = rows_between(connection, tenant_id, after, end)
        _refuse_replays(connection, tenant_id, rows)
        tree = StoredTree(connection, tenant_id)
        left = [tree.subtree(*where) for where in merkle.aligned(0, after + 1)]
        right = [(where[0], tree.subtree(*where)) for where in merkle.aligned(end, size)]
        return Page(rows, note, tuple(left), tuple(right))


def rows_between(connection: Connection, tenant_id: UUID, after: int, end: int) -> list[dict[str, Any]]:
    """The rows of the entries `after` + 1 … `end` − 1. Raises LedgerTamperedError when one of them is missing."""
    # PostgreSQL knows times that Python does not: what its owner wrote there is to be found, and not to stop us.
    rows = connection.execute(
        """
        select e.index, greatest(least(e.at, '9999-12-30'), '0001-01-02') as at, e.leaf, e.statement_id,
               s.envelope, s.digest
        from ledger_entries e left join ledger_statements s on s.id = e.statement_id and s.tenant_id = e.tenant_id
        where e.tenant_id = %s and e.index > %s and e.index < %s order by e.index
        """,
        [tenant_id, after, end],
    ).fetchall()
    for place, row in zip_longest(range(after + 1, end), rows):
        if row is None or row["index"] != place:
            index = end - 1 if place is None else place
            raise LedgerTamperedError(f"There is not one entry {index}, but none or two.", kind="deleted", index=index)
    return rows


def stored(db: Database, tenant_id: UUID, indices: Iterable[int] | None) -> tuple[Checkpoint | None, list[StoredEntry]]:
    """What the newest checkpoint counts, or the entries at `indices` with proofs, as they are: also when tampered with.

    Raises NoSuchEntryError, and LedgerTamperedError where no proof can be made.
    """
    with db.tenant(tenant_id) as connection:
        note = newest_note(connection, tenant_id)
        checkpoint = None if note is None else read_checkpoint(note)
        size = 0 if checkpoint is None else checkpoint.size
        if indices is None:
            rows = connection.execute(_STORED + " and index < %s order by index", [tenant_id, size])
            return checkpoint, [StoredEntry(row["index"], row["at"], row["envelope"]) for row in rows]
        tree = StoredTree(connection, tenant_id)
        found = []
        for index in sorted(set(indices)):
            row = connection.execute(_STORED + " and index = %s", [tenant_id, index]).fetchone()
            if row is None or not 0 <= index < size:
                raise no_entry(index)
            proof = tuple(merkle.inclusion_proof(tree.subtree, index, size))
            found.append(StoredEntry(index, row["at"], row["envelope"], proof))
        return checkpoint, found


_STORED: LiteralString = """
select e.index, greatest(least(e.at, '9999-12-30'), '0001-01-02') as at, s.envelope from ledger_entries e
join ledger_statements s on s.id = e.statement_id and s.tenant_id = e.tenant_id where e.tenant_id = %s
"""


def newest_note(connection: Connection, tenant_id: UUID) -> str | None:
    """The newest checkpoint as it was stored."""
    row = connection.execute(
        "select note from ledger_checkpoints where tenant_id = %s order by size desc limit 1", [tenant_id]
    ).fetchone()
    return None if row is None else str(row["note"])


def signed_checkpoint(note: str, keys: Keys) -> Checkpoint:
    """The checkpoint that the database holds, if the log signed it. Raises LedgerTamperedError."""
    checkpoint = read_checkpoint(note)
    try:
        checkpoint.verify(keys)
    except SignatureError as error:
        raise LedgerTamperedError(error.what, kind=error.kind, why=error.why) from None
    return checkpoint


def read_checkpoint(note: str) -> Checkpoint:
    """A stored note as a value, not verified. Raises LedgerTamperedError."""
    try:
        return Checkpoint.parse(note)
    except BundleError:
        raise LedgerTamperedError("The newest checkpoint of the log is not readable.", kind="edited") from None


def statement_of(keys: Keys, row: dict[str, Any], index: int) -> tuple[Envelope, Statement]:
    """What the row says, if it is whole. Raises LedgerTamperedError, KeyRevokedError."""
    if row["envelope"] is None:
        raise LedgerTamperedError(f"What entry {index} said is missing.", kind="deleted", index=index)
    if not hmac.compare_digest(
        merkle.leaf_hash(leaf_data(row["at"], hashlib.sha256(row["envelope"]).digest())), row["leaf"]
    ):
        raise LedgerTamperedError(f"Entry {index} was edited: its hash is another one.", kind="edited", index=index)
    try:
        envelope = Envelope.from_bytes(row["envelope"])
        statement = keys.opened(envelope, index)
    except (EnvelopeError, StatementError) as error:
        raise LedgerTamperedError(
            f"Entry {index} is no evidence.", kind="edited", index=index, why=error.what
        ) from None
    except SignatureError as error:
        raise LedgerTamperedError(error.what, kind=error.kind, index=index, why=error.why) from None
    if not hmac.compare_digest(bytes.fromhex(envelope.digest), row["digest"]):
        raise LedgerTamperedError(f"Entry {index} is filed under another statement.", kind="edited", index=index)
    return envelope, statement


def unlike(checkpoint: Checkpoint, index: int | None) -> LedgerTamperedError:
    """The error for hashes that do not lead to the signed root."""
    return LedgerTamperedError(
        f"The log is not the one whose checkpoint was signed at {checkpoint.size}.",
        kind="forked",
        index=index,
        why="Its entries are other ones, or stand in another order.",
    )


def no_entry(index: int) -> NoSuchEntryError:
    """The error for an index that the log does not have."""
    return NoSuchEntryError(
        f"The log has no entry {index}.", next_step="`prodsprints evidence export` has all that there are."
    )


def _verified(keys: Keys, row: dict[str, Any], index: int) -> Entry | None:
    try:
        envelope, statement = statement_of(keys, row, index)
    except KeyRevokedError:
        return None
    return Entry(index, row["at"], envelope, statement)


def _refuse_replays(connection: Connection, tenant_id: UUID, rows: list[dict[str, Any]]) -> None:
    """A statement counts once. The table's own constraint says so, but the database's owner can take it away."""
    # Joined to the digests, one look into the index for each: asked for `any` of them, and for one row, PostgreSQL goes
    # through the index of the whole log.
    twice = connection.execute(
        """
        select min(e.index) as index from unnest(%s::bytea[]) as said (digest)
        join ledger_statements s on s.tenant_id = %s and s.digest = said.digest
        join ledger_entries e on e.statement_id = s.id and e.tenant_id = s.tenant_id
        group by s.digest having count(*) > 1
        """,
        [[row["digest"] for row in rows if row["digest"] is not None], tenant_id],
    ).fetchone()
    if twice is not None:
        raise LedgerTamperedError(
            f"What entry {twice['index']} says stands in the log twice.", kind="replayed", index=twice["index"]
        )
