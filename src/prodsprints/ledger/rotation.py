"""Rotating and revoking keys: the old one's last index and the new one's first are fixed while the log stands still."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from prodsprints.kernel.errors import UsageError
from prodsprints.ledger.errors import NotSequencedError
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Key, Role
from prodsprints.ledger.log import announce
from prodsprints.ledger.sequencer import LOCK
from prodsprints.store.database import Database, one

_LOOK_SECONDS = 0.02


def rotate(db: Database, tenant_id: UUID, keyring: Keyring, role: Role, *, timeout_seconds: float = 10.0) -> Key:
    """Have `role` speak with a new key from the next index on; what the old one signed stays verifiable.

    The old platform key announces the new one in the log. Raises NotSequencedError when no sequencer is at work.
    """
    with keyring.silent(tenant_id):
        signer = keyring.signer(tenant_id)
        old = signer.current(role)
        private = Ed25519PrivateKey.generate()
        new = Key.of(role, private.public_key().public_bytes_raw(), from_index=0)
        announce(db, signer, next_key=new)
        with _standing_still(db, tenant_id, timeout_seconds) as size:
            return keyring.replace(tenant_id, old, private, at=size)


def revoke(db: Database, tenant_id: UUID, keyring: Keyring, key_id: str, *, from_index: int) -> Key:
    """Believe nothing that the key signed at `from_index` or later; a key that still speaks is rotated first.

    For a key of the log itself that is from the next checkpoint on: what it signed before, the witness holds fast.
    Raises UsageError for an unknown key, and for an index behind the one that it is revoked from.
    """
    key = keyring.keys(tenant_id).find(key_id)
    if key is None or from_index < 0:
        raise UsageError(
            f"There is no key {key_id[:40]!r}, or {from_index} is no index.",
            next_step="`prodsprints evidence keys` lists the keys of the log.",
        )
    if key.revoked is not None and key.revoked < from_index:
        raise UsageError(
            f"The key {key_id[:12]} is revoked from entry {key.revoked} on already: what it signed there stays void.",
            next_step="Drill or attest again what should count; a revocation can be moved to an earlier entry only.",
        )
    if key.is_current:
        rotate(db, tenant_id, keyring, key.role)
        key = keyring.keys(tenant_id).find(key_id) or key
    if key.role is Role.LOG:
        from_index = max(from_index, (key.until_index or 0) + 1)
    with keyring.silent(tenant_id):
        keyring.revoke(tenant_id, key_id, from_index=from_index)
        announce(db, keyring.signer(tenant_id))
    return replace(key, revoked=from_index)


@contextmanager
def _standing_still(db: Database, tenant_id: UUID, timeout_seconds: float) -> Iterator[int]:
    """The log's size, once nothing of the tenant waits for its place; nothing gets one before the caller is done."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        with db.sequencer() as connection:
            connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
            row = one(
                connection.execute(
                    """
                    select exists (select from ledger_queue where tenant_id = %(tenant)s) as waiting,
                           coalesce((select max(size) from ledger_checkpoints where tenant_id = %(tenant)s), 0) as size
                    """,
                    {"tenant": tenant_id},
                ).fetchone()
            )
            if not row["waiting"]:
                yield int(row["size"])
                return
        if time.monotonic() >= deadline:
            raise NotSequencedError(
                "The key was not rotated: statements signed with the old one wait for their place in the log.",
                next_step="Check that a worker runs (`prodsprints up`), then rotate again.",
            )
        time.sleep(_LOOK_SECONDS)
