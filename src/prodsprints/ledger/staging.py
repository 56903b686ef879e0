"""Storing statements: while one commit is on its way others gather, and all of them are signed and stored together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from threading import Lock
from uuid import UUID

from prodsprints.ledger.envelope import Envelope
from prodsprints.ledger.errors import ReplayedError
from prodsprints.ledger.keyring import Keyring, Signer
from prodsprints.ledger.keys import Role
from prodsprints.ledger.merkle import hashes_in
from prodsprints.store.database import Database, one, patient

_MOST_TOGETHER = 256
_GATHERING_SECONDS = 0.001


class Staging:
    """The way of one tenant's statements into the database. Its callers are threads, and each waits for the commit.

    A commit costs as much as a dozen statements in it, so that one who stores waits a moment for those who came with
    the last one and will be back; whoever is alone waits for nobody.
    """

    def __init__(self, db: Database, tenant_id: UUID, keyring: Keyring) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._keyring = keyring
        self._lock = Lock()
        self._gathered: list[_Ticket] = []
        self._leader: _Ticket | None = None
        self._expected = 1
        self._is_waiting = False

    def store(self, role: Role, payload: bytes) -> str:
        """Sign in the name of `role` and store; returns the digest. Raises ReplayedError, KeyLostError, and others."""
        ticket = _Ticket(role, payload)
        self._join(ticket)
        try:
            ticket.turn.acquire()
            if not ticket.done:  # whoever comes first stores for all; the others find it done, or lead the next ones
                self._lead(ticket)
        finally:
            self._leave(ticket)
        return ticket.outcome()

    def _join(self, ticket: _Ticket) -> None:
        with self._lock:
            self._gathered.append(ticket)
            if self._leader is None:
                self._leader = ticket
                ticket.turn.release()
            elif self._is_waiting and len(self._gathered) >= self._expected:
                self._is_waiting = False
                self._leader.turn.release()

    def _lead(self, leader: _Ticket) -> None:
        with self._lock:
            self._is_waiting = is_early = len(self._gathered) < min(self._expected, _MOST_TOGETHER)
        if is_early:
            leader.turn.acquire(timeout=_GATHERING_SECONDS)
        with self._lock:
            self._is_waiting = False
            tickets, self._gathered = self._gathered[:_MOST_TOGETHER], self._gathered[_MOST_TOGETHER:]
        try:
            self._store_together(tickets)
        finally:
            with self._lock:
                self._expected = len(tickets) + len(self._gathered)
            for ticket in tickets:
                ticket.done = True
                if ticket is not leader:
                    ticket.turn.release()

    def _leave(self, ticket: _Ticket) -> None:
        """However it ended, also by an interrupt: the next one leads."""
        with self._lock:
            if not ticket.done and ticket in self._gathered:
                self._gathered.remove(ticket)
            if self._leader is ticket:
                self._is_waiting = False
                self._leader = self._gathered[0] if self._gathered else None
                if self._leader is not None:
                    self._leader.turn.release()

    def _store_together(self, tickets: list[_Ticket]) -> None:
        try:
            with self._keyring.speaking(self._tenant_id) as signer:
                stored = store(self._db, signer, [(ticket.role, ticket.payload) for ticket in tickets])
            for ticket, (digest, added) in zip(tickets, stored, strict=True):
                ticket.digest, ticket.added = digest, added
        except BaseException as error:
            for ticket in tickets:
                ticket.error = error
            raise


class _Ticket:
    """One statement on its way; `turn` is released when it is stored, or when its caller is to lead."""

    def __init__(self, role: Role, payload: bytes) -> None:
        self.role = role
        self.payload = payload
        self.turn = Lock()
        self.turn.acquire()
        self.done = False
        self.added = False
        self.digest = ""
        self.error: BaseException | None = None

    def outcome(self) -> str:
        if self.error is not None:
            raise self.error
        if not self.added:
            raise ReplayedError(
                f"The log of this tenant has the statement {self.digest[:12]} already.",
                next_step="Nothing is to be done; to say it again, give it a nonce of its own.",
            )
        return self.digest


def store(db: Database, signer: Signer, said: list[tuple[Role, bytes]]) -> list[tuple[str, bool]]:
    """Sign and store in one commit; for each its digest, and whether the log did not have it before."""
    envelopes = [signer.envelope(role, payload) for role, payload in said]
    digests = [hashlib.sha256(payload).digest() for _, payload in said]
    new = _insert(db, signer.keys.tenant_id, envelopes, digests)
    answers = []
    for digest in digests:
        answers.append((digest.hex(), digest in new))
        new.discard(digest)  # said twice in one commit it counts once
    return answers


def _insert(db: Database, tenant_id: UUID, envelopes: list[Envelope], digests: list[bytes]) -> set[bytes]:
    texts = [envelope.to_bytes() for envelope in envelopes]
    parameters = [
        tenant_id,
        b"".join(digests),
        b"".join(texts),
        _array(len(text) for text in texts),
        _array(envelope.key_id for envelope in envelopes),
    ]
    tries = 0

    def insert(db: Database) -> bytes:
        nonlocal tries
        tries += 1
        return bytes(one(db.once("select ledger_append(%s, %s, %s, %s, %s) as added", parameters))["added"])

    added = patient(insert)(db)
    # After a lost answer to the commit, the second try meets its own rows: they are no replays.
    return set(digests if tries > 1 else hashes_in(added))


def _array(values: Iterable[object]) -> str:
    """An array of numbers or hexadecimal words as PostgreSQL reads it."""
    return "{" + ",".join(map(str, values)) + "}"
