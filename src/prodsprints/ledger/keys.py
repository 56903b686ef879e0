"""Public keys: which key may speak for what in one tenant's log, and from which index to which."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from prodsprints.ledger.envelope import Envelope, pre_authentication_encoding
from prodsprints.ledger.errors import BundleError, KeyRevokedError, SignatureError
from prodsprints.ledger.statement import PredicateType, Statement

PUBLIC_BYTES = 32
_ID_DIGITS = 32
_MAX_INDEX = 2**62
_MAX_FILE_BYTES = 1_048_576


class Role(StrEnum):
    """On whose behalf a key speaks."""

    DRILL = "drill"
    PERSON = "person"
    PLATFORM = "platform"
    LOG = "log"


SPEAKS_FOR: Mapping[PredicateType, Role] = {
    PredicateType.TEST_RESULT: Role.DRILL,
    PredicateType.ATTESTATION: Role.PERSON,
    PredicateType.ACCEPTANCE: Role.PERSON,
    PredicateType.INCIDENT: Role.PERSON,
    PredicateType.REVIEW: Role.PERSON,
    PredicateType.OPERATION: Role.PLATFORM,
    PredicateType.DOCUMENT: Role.PLATFORM,
    PredicateType.KEYS: Role.PLATFORM,
}
"""Who may make which statement; `Role.LOG` makes none, it signs checkpoints."""


@dataclass(frozen=True)
class Key:
    """One public key. It speaks from `from_index` to `until_index`; from `revoked` on it is not believed."""

    id: str
    role: Role
    public: bytes
    from_index: int = 0
    until_index: int | None = None
    revoked: int | None = None

    @staticmethod
    def of(role: Role, public: bytes, *, from_index: int) -> Key:
        """A new key, named by the digest of its public part."""
        return Key(key_id(public), role, public, from_index)

    @staticmethod
    def from_json(document: Any) -> Key:
        """Read what `as_json` wrote. Raises BundleError."""
        match document:
            case {"id": str(id), "role": str(role), "public": str(public), "from_index": int(first)} if (
                role in list(Role) and 0 <= first <= _MAX_INDEX
            ):
                until, revoked = document.get("until_index"), document.get("revoked")
                key = Key(id, Role(role), _decoded(public), first, _bound(until), _bound(revoked))
                if len(key.public) == PUBLIC_BYTES and key_id(key.public) == id:
                    return key
        raise _no_key()

    def as_json(self) -> dict[str, Any]:
        """The key as the API, exports and statements show it."""
        return {
            "id": self.id,
            "role": str(self.role),
            "public": base64.b64encode(self.public).decode(),
            "from_index": self.from_index,
            "until_index": self.until_index,
            "revoked": self.revoked,
        }

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`."""
        try:
            _verifier(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    @property
    def is_current(self) -> bool:
        """Whether it signs what is said now."""
        return self.until_index is None and self.revoked is None


@dataclass(frozen=True)
class Keys:
    """The public keys of one tenant's log, old ones included."""

    tenant_id: UUID
    keys: tuple[Key, ...]

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    @staticmethod
    def from_json(tenant_id: UUID, items: Iterable[Any]) -> Keys:
        """Read public keys as `evidence keys` shows them. Raises BundleError."""
        return Keys(tenant_id, tuple(Key.from_json(one) for one in items))

    def as_json(self) -> list[dict[str, Any]]:
        """All keys, oldest first."""
        return [key.as_json() for key in self.keys]

    def current(self, role: Role) -> Key | None:
        """The key that speaks for `role` now."""
        return next((key for key in reversed(self.keys) if key.role is role and key.is_current), None)

    def find(self, id: str) -> Key | None:
        """The key with that id."""
        return self._by_id.get(id)

    def opened(self, envelope: Envelope, index: int) -> Statement:
        """What the entry at `index` says, if a key that may say it there has signed it.

        Raises SignatureError (its `kind` is "signature" or "key"), KeyRevokedError, and StatementError.
        """
        key = self._by_id.get(envelope.key_id)
        if key is None:
            raise SignatureError(f"Entry {index} is signed by {envelope.key_id[:12]}, a foreign key.", kind="key")
        if not key.signed(pre_authentication_encoding(envelope.payload), envelope.signature):
            raise SignatureError(f"The signature of entry {index} does not hold.", kind="signature")
        statement = Statement.from_bytes(envelope.payload)
        if statement.tenant != self.tenant_id:
            raise SignatureError(f"Entry {index} speaks for another tenant.", kind="key")
        if SPEAKS_FOR[statement.type] is not key.role:
            raise SignatureError(
                f"Entry {index} is signed by a key of the role {key.role}.",
                kind="key",
                why=f"Only the role {SPEAKS_FOR[statement.type]} may say what it says.",
            )
        if not key.from_index <= index <= (_MAX_INDEX if key.until_index is None else key.until_index):
            raise SignatureError(
                f"Entry {index} is signed by {key.id[:12]}, which did not speak at that index.", kind="key"
            )
        if key.revoked is not None and index >= key.revoked:
            raise KeyRevokedError(
                f"Entry {index} is signed by {key.id[:12]}, which is revoked from entry {key.revoked} on.",
                next_step="Drill or attest again what it should have shown.",
            )
        return statement

    @property
    def fingerprint(self) -> str:
        """Changes whenever a key is added, rotated or revoked: what was concluded under another one is out of date."""
        return hashlib.sha256(repr(self.as_json()).encode()).hexdigest()

    @cached_property
    def _by_id(self) -> dict[str, Key]:
        return {key.id: key for key in self.keys}


def read_keys(text: bytes) -> tuple[Key, ...]:
    """The keys that `prodsprints evidence keys --json`, the API or an export gave. Raises BundleError."""
    if len(text) > _MAX_FILE_BYTES:
        raise _no_key()
    try:
        documents = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        documents = [_parsed(text)]
    except RecursionError:
        raise _no_key() from None
    match documents:
        case [{"keys": list(items)}]:
            documents = items
    if not documents:
        raise _no_key()
    return tuple(Key.from_json(document) for document in documents)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _no_key() from None


def key_id(public: bytes) -> str:
    """A key's name: the beginning of its public part's SHA-256."""
    return hashlib.sha256(public).hexdigest()[:_ID_DIGITS]


@lru_cache(maxsize=1_024)
def _verifier(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _no_key() from None


def _bound(index: Any) -> int | None:
    if index is None or (type(index) is int and -1 <= index <= _MAX_INDEX):
        return None if index is None else int(index)
    raise _no_key()


def _no_key() -> BundleError:
    return BundleError(
        "What should be a public key is none.", next_step="Get the keys again: `prodsprints evidence keys --json`."
    )
