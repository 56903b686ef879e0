"""One tenant's log as it is heard: folded once, then only what was said since; and whether it is still the same log."""

from __future__ import annotations

import hmac
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prodsprints.ledger.checkpoint import Checkpoint
from prodsprints.ledger.envelope import Envelope
from prodsprints.ledger.errors import (
    EnvelopeError,
    KeyRevokedError,
    LedgerTamperedError,
    SignatureError,
    StatementError,
)
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.statement import PredicateType
from prodsprints.ledger.witness import Witness
from prodsprints.register import snapshot, verifications
from prodsprints.register.assessment import Log, LogState
from prodsprints.register.register import Register
from prodsprints.register.snapshot import Snapshot
from prodsprints.register.standing import Standing, fold
from prodsprints.store.database import Database, one, patient

SNAPSHOT_EVERY = 2_000
"""How many entries are heard again at most when a process starts."""

_PAGE = 1_000
_WITNESS_EVERY_SECONDS = 10.0

_Place = tuple[int, bytes]
"""A checkpoint's size and root."""


class Hearing:
    """What the log of one tenant comes to, kept up by `refresh`. For one thread at a time."""

    def __init__(self, db: Database, tenant_id: UUID, keyring: Keyring, witness: Witness) -> None:
        self.standing = Standing(str(tenant_id))
        self.log = Log(LogState.UNWITNESSED)
        self.now = datetime.min.replace(tzinfo=UTC)
        self._db = db
        self._tenant_id = tenant_id
        self._keyring = keyring
        self._witness = witness
        self._ledger = Ledger(db, tenant_id, keyring)
        self._heard: _Place | None = None
        self._witnessed: _Place | None = None
        self._continued: set[tuple[_Place, bytes]] = set()
        self._revoked: list[list[Any]] | None = None
        self._stored_size = 0
        self._witnessed_at = -_WITNESS_EVERY_SECONDS
        self._is_published = False

    def refresh(self) -> None:
        """Hear what was said since the last time.

        `now` becomes the later of the database's time and the last checkpoint's, and never goes back. A log that is not
        what was signed is told by `log`, and `standing` stays what it was.
        """
        self.now = max(self.now, _database_time(self._db))
        try:
            # the witness first: a checkpoint comes to it after the database has it
            self._look_at_witness()
            checkpoint = self._ledger.checkpoint()
            if checkpoint is not None:
                self.now = max(self.now, checkpoint.at)
            self._forget_the_revoked()
            self._refuse_another_log(checkpoint)
            self._hear(checkpoint)
            found = verifications.newest(self._db, self._tenant_id, self._ledger.keys)
            if found:
                raise LedgerTamperedError(found, kind="edited")
        except LedgerTamperedError as tampered:
            self.log = Log(LogState.TAMPERED, tampered.what, self.standing.size)
            return
        self.log = self._whole_log()

    def log_behind(self, register: Register) -> Log:
        """The state of the log as far as `register` goes: one that is not what was imported last is no register."""
        if self.log.state is LogState.TAMPERED or register.statement == self.standing.document:
            return self.log
        if self._is_on_its_way(register.statement):
            return self.log
        return Log(LogState.TAMPERED, "The risk document is not the one that was imported last.", self.standing.size)

    def _is_on_its_way(self, digest: str) -> bool:
        envelope = _stored(self._db, self._tenant_id, digest)
        try:
            said = self._ledger.keys.opened(Envelope.from_bytes(envelope), self.standing.size)
        except (EnvelopeError, StatementError, SignatureError, KeyRevokedError):
            return False
        return (
            said.type is PredicateType.DOCUMENT
            and said.digest == digest
            and f"document {said.predicate.get('nonce')}" not in self.standing.nonces
        )

    def _whole_log(self) -> Log:
        if self._witness.outside and (self._is_published or not self.standing.size):
            return Log(LogState.VERIFIED, "", self.standing.size)
        if self._witness.outside:
            reason = "The outside witness has no checkpoint of this log: none was published there yet, or it is gone."
            return Log(LogState.UNWITNESSED, reason, self.standing.size)
        reason = "No outside witness: whoever owns this machine and its keys could write another log."
        return Log(LogState.UNWITNESSED, reason, self.standing.size)

    def _look_at_witness(self) -> None:
        # it may lie in a Git repository, which takes longer to ask than a page has time
        if time.monotonic() - self._witnessed_at < _WITNESS_EVERY_SECONDS:
            return
        self._witnessed_at = time.monotonic()
        published = self._witness.published(self._tenant_id)
        self._is_published = False
        for seen in self._witness.seen(self._tenant_id):
            try:
                seen.verify(self._ledger.keys)
            except SignatureError:
                continue  # not the log's own words; `verify_log` says what they are
            self._is_published = self._is_published or seen == published
            if self._witnessed is None or seen.size >= self._witnessed[0]:
                self._witnessed = seen.size, seen.root

    def _forget_the_revoked(self) -> None:
        revoked = snapshot.revoked(self._ledger.keys)
        if revoked != self._revoked:
            self._revoked = revoked
            self.standing = Standing(str(self._tenant_id))
            self._heard = None
            self._stored_size = 0

    def _refuse_another_log(self, now: Checkpoint | None) -> None:
        for known in filter(None, (self._heard, self._witnessed)):
            size, root = known
            if now is None or now.size < size:
                raise LedgerTamperedError(
                    f"The log had {size} entries and now has {now.size if now else 0}.", kind="truncated"
                )
            if (known, now.root) in self._continued:
                continue
            then = now.root if now.size == size else self._ledger.consistency(size).leaf
            if not hmac.compare_digest(then, root):
                raise LedgerTamperedError(f"The first {size} entries of the log are not what they were.", kind="forked")
            self._continued = {*[one for one in self._continued if one[1] == now.root], (known, now.root)}

    def _hear(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is None or (checkpoint.size, checkpoint.root) == self._heard:
            return
        if self._heard is None:
            self._take_up_snapshot(checkpoint)
        while entries := self._ledger.entries(after=self.standing.size - 1, limit=_PAGE):
            self.standing = fold(self.standing, entries)
        if self.standing.size < checkpoint.size:
            self._ledger.inclusion(checkpoint.size - 1)  # the last ones are a revoked key's, or they are gone
        self._heard = checkpoint.size, checkpoint.root
        if self.standing.size - self._stored_size >= SNAPSHOT_EVERY:
            kept = Snapshot(self.standing, checkpoint.size, checkpoint.root)
            snapshot.store(self._db, self._keyring, self._tenant_id, kept)
            self._stored_size = self.standing.size

    def _take_up_snapshot(self, checkpoint: Checkpoint) -> None:
        kept = snapshot.load(self._db, self._tenant_id, self._ledger.keys)
        if kept is None:
            return
        self._heard = kept.checkpoint_size, kept.root
        self._refuse_another_log(checkpoint)
        self.standing = kept.standing
        self._stored_size = kept.standing.size


@patient
def _stored(db: Database, tenant_id: UUID, digest: str) -> bytes:
    with db.tenant(tenant_id) as connection:
        row = connection.execute(
            "select envelope from ledger_statements where tenant_id = %s and digest = %s",
            [tenant_id, bytes.fromhex(digest)],
        ).fetchone()
    return b"" if row is None else bytes(row["envelope"])


@patient
def _database_time(db: Database) -> datetime:
    row = db.once("select clock_timestamp() as at", [])
    at: datetime = one(row)["at"]
    return at
