"""The ledger of one tenant: append a statement, wait for its place, read what was said, in order and verified."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid4

from prodsprints.ledger import merkle, reading
from prodsprints.ledger.checkpoint import Checkpoint
from prodsprints.ledger.errors import (
    ForeignEvidenceError,
    KeyLostError,
    KeyRevokedError,
    NotSequencedError,
)
from prodsprints.ledger.keyring import Keyring, Signer
from prodsprints.ledger.keys import SPEAKS_FOR, Key, Keys, Role
from prodsprints.ledger.reading import Entry, StoredEntry
from prodsprints.ledger.staging import Staging, store
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.ledger.tree import StoredTree
from prodsprints.store.database import Connection, Database, one, patient

__all__ = ["Entry", "Ledger", "Proof", "Receipt"]

PAGE = 1_000
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Receipt:
    """The statement with this digest (SHA-256, hex) is stored and will get its place in the log."""

    digest: str


@dataclass(frozen=True)
class Proof:
    """The hashes that lead from `leaf` (an entry's, or an older log's root) to the checkpoint's root."""

    checkpoint: Checkpoint
    leaf: bytes
    hashes: tuple[bytes, ...]


class Ledger:
    """One tenant's log. What it returns is verified; what does not verify raises LedgerTamperedError."""

    def __init__(self, db: Database, tenant_id: UUID, keyring: Keyring) -> None:
        self.tenant_id = tenant_id
        self._db = db
        self._keyring = keyring
        self._staging = Staging(db, tenant_id, keyring)

    def append(self, statement: Statement) -> Receipt:
        """Sign the statement and store it; it is on disk when this returns, and in the log a moment later.

        Raises StatementError, ForeignEvidenceError, ReplayedError, KeyLostError, KeyExposedError.
        """
        payload = statement.to_bytes()
        if statement.tenant != self.tenant_id:
            raise ForeignEvidenceError(
                f"The statement speaks for tenant {statement.tenant}, not for {self.tenant_id}.",
                next_step="Append it to the log of the tenant that it names.",
            )
        self._have_keys()
        return Receipt(self._staging.store(SPEAKS_FOR[statement.type], payload))

    def wait(self, receipt: Receipt, timeout_seconds: float = 5.0) -> Entry:
        """The entry that the statement became. Raises NotSequencedError when that takes too long."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            index = _index(self._db, self.tenant_id, receipt.digest)
            if index is not None:
                return self.entry(index)
            if time.monotonic() >= deadline:
                raise NotSequencedError(
                    f"The statement {receipt.digest[:12]} is stored, but not in the log after {timeout_seconds:g} s.",
                    why="No sequencer runs, or it refuses to sign over this log; its worker's log says which.",
                    next_step="Check that a worker runs (`prodsprints up`). Nothing is lost; do not say it again.",
                )
            time.sleep(_LOOK_SECONDS)

    def entries(self, after: int = -1, limit: int = PAGE) -> list[Entry]:
        """Up to `limit` entries behind index `after`, in order; fewer only at the end of the log.

        Each is verified by itself, and together against the newest checkpoint. What a revoked key said is left out.
        Raises LedgerTamperedError.
        """
        found: list[Entry] = []
        while len(found) < limit:
            most = min(PAGE, limit - len(found))
            page = reading.page(self._db, self.tenant_id, after=after, limit=most)
            found += [entry for entry in page.entries(self.keys, after) if entry is not None]
            after += len(page.rows)
            if len(page.rows) < most:
                break
        return found

    def entry(self, index: int) -> Entry:
        """The entry at `index`. Raises NoSuchEntryError, KeyRevokedError, LedgerTamperedError."""
        if not 0 <= index < self.size():
            raise reading.no_entry(index)
        found = reading.page(self._db, self.tenant_id, after=index - 1, limit=1).entries(self.keys, index - 1)
        if not found:
            raise reading.no_entry(index)
        if found[0] is None:
            raise KeyRevokedError(
                f"Entry {index} was signed by a key that was revoked before.",
                next_step="Drill or attest again what it should have shown.",
            )
        return found[0]

    def size(self) -> int:
        """How many entries the newest checkpoint counts."""
        checkpoint = self.checkpoint()
        return 0 if checkpoint is None else checkpoint.size

    def checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint, its signature verified; None for a log without entries."""
        note = _newest_note(self._db, self.tenant_id)
        return None if note is None else reading.signed_checkpoint(note, self.keys)

    def inclusion(self, index: int) -> Proof:
        """That the entry is in the log of the newest checkpoint. Raises NoSuchEntryError, LedgerTamperedError."""
        with self._db.tenant(self.tenant_id) as connection:
            checkpoint = self._checkpoint_in(connection)
            if checkpoint is None or not 0 <= index < checkpoint.size:
                raise reading.no_entry(index)
            tree = StoredTree(connection, self.tenant_id)
            leaf = tree.subtree(0, index)
            hashes = merkle.inclusion_proof(tree.subtree, index, checkpoint.size)
        if not merkle.verify_inclusion(leaf, index, checkpoint.size, hashes, checkpoint.root):
            raise reading.unlike(checkpoint, index)
        return Proof(checkpoint, leaf, tuple(hashes))

    def consistency(self, old_size: int) -> Proof:
        """That the log of `old_size` entries begins today's; its `leaf` is the old root. Raises as `inclusion` does."""
        with self._db.tenant(self.tenant_id) as connection:
            checkpoint = self._checkpoint_in(connection)
            if checkpoint is None or not 0 < old_size <= checkpoint.size:
                raise reading.no_entry(old_size - 1)
            tree = StoredTree(connection, self.tenant_id)
            old_root = merkle.range_hash(tree.subtree, 0, old_size)
            hashes = merkle.consistency_proof(tree.subtree, old_size, checkpoint.size)
        if not merkle.verify_consistency(old_size, checkpoint.size, old_root, checkpoint.root, hashes):
            raise reading.unlike(checkpoint, None)
        return Proof(checkpoint, old_root, tuple(hashes))

    def stored(self, indices: Iterable[int] | None = None) -> tuple[Checkpoint | None, list[StoredEntry]]:
        """What the log holds, not verified: for an export, which is to be verified elsewhere."""
        return reading.stored(self._db, self.tenant_id, indices)

    @property
    def keys(self) -> Keys:
        """The public keys of the log; none for a log that nobody has written to. Raises KeyLostError."""
        try:
            return self._keyring.keys(self.tenant_id)
        except KeyLostError:
            if _is_begun(self._db, self.tenant_id):
                raise
            return Keys(self.tenant_id, ())

    def _have_keys(self) -> None:
        """A log begins with its keys. One that has been written to must not get others in the place of lost ones."""
        if self._keyring.has(self.tenant_id):
            return
        if _is_begun(self._db, self.tenant_id):
            self._keyring.keys(self.tenant_id)
        if self._keyring.create(self.tenant_id):
            with self._keyring.speaking(self.tenant_id) as signer:
                announce(self._db, signer)

    def _checkpoint_in(self, connection: Connection) -> Checkpoint | None:
        note = reading.newest_note(connection, self.tenant_id)
        return None if note is None else reading.signed_checkpoint(note, self.keys)


def announce(db: Database, signer: Signer, *, next_key: Key | None = None) -> None:
    """Say in the log which keys speak for it, and which one will next."""
    predicate = {
        "tenant": str(signer.keys.tenant_id),
        "keys": signer.keys.as_json(),
        "next": None if next_key is None else next_key.as_json(),
        "nonce": uuid4().hex,
    }
    said = Statement(PredicateType.KEYS, (Subject("keys", signer.keys.fingerprint),), predicate)
    store(db, signer, [(Role.PLATFORM, said.to_bytes())])


@patient
def _index(db: Database, tenant_id: UUID, digest: str) -> int | None:
    with db.tenant(tenant_id) as connection:
        row = connection.execute(
            "select index from ledger_entries where statement_id ="
            " (select id from ledger_statements where tenant_id = %s and digest = %s)",
            [tenant_id, bytes.fromhex(digest)],
        ).fetchone()
    return None if row is None else int(row["index"])


@patient
def _newest_note(db: Database, tenant_id: UUID) -> str | None:
    with db.tenant(tenant_id) as connection:
        return reading.newest_note(connection, tenant_id)


@patient
def _is_begun(db: Database, tenant_id: UUID) -> bool:
    with db.tenant(tenant_id) as connection:
        row = connection.execute(
            "select exists (select from ledger_statements where tenant_id = %s) as begun", [tenant_id]
        ).fetchone()
    return bool(one(row)["begun"])
