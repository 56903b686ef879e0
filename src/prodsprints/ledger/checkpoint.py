"""Checkpoints: a signed note of a log's size and root (C2SP tlog-checkpoint), small enough to keep anywhere."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from prodsprints.ledger.errors import BundleError, SignatureError
from prodsprints.ledger.keys import Key, Keys, Role
from prodsprints.ledger.merkle import HASH_BYTES

if TYPE_CHECKING:
    from prodsprints.ledger.keyring import Signer

MAX_NOTE_BYTES = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORIGIN = "urn:prodsprints:log:"
_ED25519 = b"\1"  # the algorithm's number in signed notes
_NOTE = re.compile(
    rf"(?P<origin>{_ORIGIN}[0-9a-f-]{{36}})\n(?P<size>[1-9][0-9]{{0,17}})\n(?P<root>[A-Za-z0-9+/=]{{44}})\n"
    r"time (?P<at>[0-9]{1,18})\n\n— (?P<name>\S{1,64}) (?P<signature>[A-Za-z0-9+/=]{92})\n"
)


@dataclass(frozen=True)
class Checkpoint:
    """At the time `at`, the tenant's log had `size` entries with the Merkle root `root`. `note` is that, signed."""

    tenant_id: UUID
    size: int
    root: bytes
    at: datetime
    note: str

    @staticmethod
    def signed(signer: Signer, *, size: int, root: bytes, at: datetime) -> Checkpoint:
        """A new one, in the log's name."""
        tenant_id = signer.keys.tenant_id
        origin = f"{_ORIGIN}{tenant_id}"
        body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\ntime {microseconds(at)}\n"
        key, signature = signer.sign(Role.LOG, body.encode())
        stamped = base64.b64encode(_stamp(origin, key) + signature).decode()
        return Checkpoint(tenant_id, size, root, at, f"{body}\n— {origin} {stamped}\n")

    @staticmethod
    def parse(note: str) -> Checkpoint:
        """Read a note; its signature is not looked at. Raises BundleError."""
        found = _NOTE.fullmatch(note) if len(note) <= MAX_NOTE_BYTES else None
        if found is None or found["name"] != found["origin"]:
            raise _refused()
        try:
            tenant_id = UUID(found["origin"].removeprefix(_ORIGIN))
            root = base64.b64decode(found["root"], validate=True)
            at = moment(int(found["at"]))
        except (binascii.Error, ValueError, OverflowError):
            raise _refused() from None
        if len(root) != HASH_BYTES:
            raise _refused()
        return Checkpoint(tenant_id, int(found["size"]), root, at, note)

    @staticmethod
    def newest(text: str) -> Checkpoint:
        """The one with most entries among the notes in `text`, such as a witness's file. Raises BundleError."""
        found = max(read_notes(text), key=lambda one: one.size, default=None)
        if found is None:
            raise _refused()
        return found

    def verify(self, keys: Keys) -> None:
        """Raises SignatureError unless a key that may speak for the log at this size signed the note."""
        if self.tenant_id != keys.tenant_id:
            raise SignatureError("The checkpoint is of another tenant's log.", kind="key")
        body, _, line = self.note.rpartition("\n— ")
        origin, _, stamped = line.strip().partition(" ")
        try:
            decoded = base64.b64decode(stamped, validate=True)
        except (binascii.Error, ValueError):
            raise _refused() from None
        stamp, signature = decoded[:4], decoded[4:]
        for key in keys.keys:
            if key.role is Role.LOG and hmac.compare_digest(_stamp(origin, key), stamp):
                if not key.signed(body.encode(), signature):
                    raise SignatureError(
                        f"The signature of the checkpoint at {self.size} does not hold.", kind="signature"
                    )
                if not _may_sign(key, self.size):
                    raise SignatureError(
                        f"The checkpoint at {self.size} is signed by a key that did not speak then.", kind="key"
                    )
                return
        raise SignatureError(f"The checkpoint at {self.size} is signed by a foreign key.", kind="key")


def read_notes(text: str) -> list[Checkpoint]:
    """Every whole note in `text`, in its order; anything else is passed over."""
    found: list[Checkpoint] = []
    for match in _NOTE.finditer(text):
        with suppress(BundleError):
            found.append(Checkpoint.parse(match.group()))
    return found


def microseconds(at: datetime) -> int:
    """`at` as the whole microseconds since 1970, which is how hashes and notes hold it."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(since_epoch: int) -> datetime:
    """The time that `microseconds` was made of."""
    return _EPOCH + timedelta(microseconds=since_epoch)


def leaf_data(at: datetime, envelope_digest: bytes) -> bytes:
    """What an entry's leaf is the hash of: when it got its place, and the envelope's SHA-256."""
    return microseconds(at).to_bytes(8, "big", signed=True) + envelope_digest


def _may_sign(key: Key, size: int) -> bool:
    """A checkpoint of size n speaks for the indexes below n."""
    last = size - 1
    if key.revoked is not None and last >= key.revoked:
        return False
    return key.from_index <= last and (key.until_index is None or last <= key.until_index)


def _stamp(origin: str, key: Key) -> bytes:
    return hashlib.sha256(origin.encode() + b"\n" + _ED25519 + key.public).digest()[:4]


def _refused() -> BundleError:
    return BundleError(
        "What should be a checkpoint is none.",
        next_step="Take one whole note from the witness: <home>/witness/<tenant>.log, or the Git repository.",
    )
