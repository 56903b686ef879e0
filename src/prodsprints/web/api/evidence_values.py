"""What the API gives about evidence, as it stands in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from prodsprints.ledger.keys import Role
from prodsprints.web.api.values import Value


class EvidenceLine(Value):
    """One entry of the log in short."""

    index: int
    at: datetime = Field(description="The database's time when it got its place.")
    what: str
    row: str
    about: str
    environment: str
    outcome: str
    key_id: str


class Key(Value):
    """One public key: who may speak with it, and at which indexes of the log."""

    id: str
    role: Role
    public: str = Field(description="Ed25519, base64.")
    from_index: int
    until_index: int | None = Field(description="The last index at which it speaks; null while it is current.")
    revoked: int | None = Field(description="What it signed from this index on is not believed.")


class Keys(Value):
    """The public keys of the tenant's log, old ones included. Pin them where you verify exports."""

    keys: list[Key]
    fingerprint: str


class Inclusion(Value):
    """Why the entry is in the log: the hashes (hex) that lead from its leaf to the root that the checkpoint signs."""

    leaf: str
    path: list[str]
    root: str
    size: int
    checkpoint: str = Field(description="The signed note.")


class EvidenceInFull(EvidenceLine):
    """One entry: the statement, its envelope, the key that signed it, and its proof of inclusion."""

    digest: str = Field(description="SHA-256 of the statement.")
    statement: dict[str, Any] = Field(description="An in-toto Statement v1.")
    envelope: dict[str, Any] = Field(description="DSSE v1.")
    key: Key | None
    inclusion: Inclusion


class Finding(Value):
    """One thing that is wrong with the log."""

    kind: str = Field(description="edited, deleted, reordered, truncated, forked, signature, key or replayed.")
    index: int | None
    sentence: str


class Verification(Value):
    """What verifying the whole log came to, and when; the result is kept for half a minute."""

    at: datetime
    size: int
    intact: bool
    findings: list[Finding]
    outside_witness: bool = Field(description="Checkpoints are kept where the database's owner cannot change them.")
