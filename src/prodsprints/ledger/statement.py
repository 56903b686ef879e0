"""Statements: what a piece of evidence says, as an in-toto Statement v1 in one canonical form."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from prodsprints.ledger.errors import StatementError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BYTES = 65_536
_TYPE = "https://in-toto.io/Statement/v1"
_MAX_DEPTH = 16
_NESTED = (dict, list, tuple)
_MAX_SUBJECTS = 64
_MAX_NAME = 500
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class PredicateType(StrEnum):
    """What kinds of evidence there are; anything else is refused."""

    TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
    ATTESTATION = "urn:prodsprints:attestation:v1"
    ACCEPTANCE = "urn:prodsprints:acceptance:v1"
    INCIDENT = "urn:prodsprints:incident:v1"
    REVIEW = "urn:prodsprints:review:v1"
    OPERATION = "urn:prodsprints:operation:v1"
    DOCUMENT = "urn:prodsprints:document:v1"
    KEYS = "urn:prodsprints:keys:v1"


@dataclass(frozen=True)
class Subject:
    """What a statement is about: a name, and the SHA-256 (hex) of the thing that bears it."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Statement:
    """One thing that somebody says. Its predicate names the tenant, and a nonce that keeps two equal sayings apart."""

    type: PredicateType
    subjects: tuple[Subject, ...]
    predicate: Mapping[str, Any]

    @staticmethod
    def from_bytes(payload: bytes) -> Statement:
        """Read what `to_bytes` wrote, and nothing else. Raises StatementError."""
        if len(payload) > MAX_BYTES:
            raise _refused(f"it has {len(payload)} bytes, more than {MAX_BYTES}")
        try:
            document = json.loads(payload.decode())
        except (ValueError, RecursionError):
            raise _refused("it is not JSON") from None
        statement = _read(document)
        # One spelling per statement: what was doubled, reordered, rounded or padded does not come back the same.
        if statement.to_bytes() != payload:
            raise _refused("it is not in canonical form")
        return statement

    def to_bytes(self) -> bytes:
        """The canonical JSON of the in-toto Statement. Raises StatementError for what could not be read again."""
        if not 1 <= len(self.subjects) <= _MAX_SUBJECTS:
            raise _refused(f"it has {len(self.subjects)} subjects; 1 to {_MAX_SUBJECTS} are allowed")
        for subject in self.subjects:
            if not 1 <= len(subject.name) <= _MAX_NAME or not _SHA256.fullmatch(subject.sha256):
                raise _refused(f"its subject {subject.name[:60]!r} needs a name and a SHA-256 in lower-case hex")
        document = {
            "_type": _TYPE,
            "subject": [{"name": one.name, "digest": {"sha256": one.sha256}} for one in self.subjects],
            "predicateType": str(self.type),
            "predicate": dict(self.predicate),
        }
        _refuse_depth(self.predicate)
        try:
            payload = _CANONICAL.encode(document).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise _refused(f"it has no place in JSON: {error}") from None
        if len(payload) > MAX_BYTES:
            raise _refused(f"it has {len(payload)} bytes, more than {MAX_BYTES}")
        return payload

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of the canonical form: the statement's identity."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def tenant(self) -> UUID:
        """The tenant that it speaks for. Raises StatementError when it names none."""
        where = self.predicate.get("drill") if self.type is PredicateType.TEST_RESULT else self.predicate
        named = where.get("tenant") if isinstance(where, Mapping) else None
        try:
            return UUID(named)
        except (TypeError, ValueError, AttributeError):
            raise _refused("its predicate names no tenant") from None


def _read(document: Any) -> Statement:
    if not isinstance(document, dict) or document.keys() != {"_type", "subject", "predicateType", "predicate"}:
        raise _refused("it is no in-toto Statement")
    if document["_type"] != _TYPE:
        raise _refused("it is no in-toto Statement of version 1")
    try:
        kind = PredicateType(document["predicateType"])
    except ValueError:
        raise _refused(f"its predicate type {str(document['predicateType'])[:80]!r} is unknown") from None
    if not isinstance(document["predicate"], dict) or not isinstance(document["subject"], list):
        raise _refused("its predicate or its subjects are of the wrong kind")
    return Statement(kind, tuple(_subject(one) for one in document["subject"]), document["predicate"])


def _subject(document: Any) -> Subject:
    match document:
        case {"name": str(name), "digest": {"sha256": str(sha256)}}:
            return Subject(name, sha256)
    raise _refused("a subject of it has no name and SHA-256")


def _refuse_depth(predicate: Mapping[str, Any]) -> None:
    level: list[Any] = list(predicate.values())
    for _ in range(_MAX_DEPTH):
        nested = [one for one in level if isinstance(one, _NESTED)]
        if not nested:
            return
        level = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
    raise _refused(f"its predicate is nested more than {_MAX_DEPTH} levels deep")


def _refused(reason: str) -> StatementError:
    return StatementError(
        f"The statement is refused: {reason}.", next_step="Evidence is written by ProdSprints alone; do not edit it."
    )
