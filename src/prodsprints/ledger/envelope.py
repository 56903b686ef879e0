"""Envelopes: a statement's bytes with an Ed25519 signature, as DSSE v1 says it, so that other tools can verify it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from prodsprints.ledger.errors import EnvelopeError
from prodsprints.ledger.statement import MAX_BYTES, PAYLOAD_TYPE

MAX_ENVELOPE_BYTES = MAX_BYTES * 4 // 3 + 1024
_SIGNATURE_BYTES = 64
_KEY_ID = re.compile(r"[!-~]{0,64}")  # it is repeated to people: nothing that a terminal would obey


@dataclass(frozen=True)
class Envelope:
    """What was signed, by which key. That a signature is there says nothing yet: a `Keyring` says whether it holds."""

    payload: bytes
    key_id: str
    signature: bytes

    @staticmethod
    def from_bytes(text: bytes) -> Envelope:
        """Read what `to_bytes` wrote, and nothing else. Raises EnvelopeError."""
        if len(text) > MAX_ENVELOPE_BYTES:
            raise _refused(f"it has {len(text)} bytes, more than {MAX_ENVELOPE_BYTES}")
        try:
            document = json.loads(text.decode())
        except (ValueError, RecursionError):
            raise _refused("it is not JSON") from None
        envelope = Envelope.from_json(document)
        # Another spelling of the same content would be another leaf of the log; there is one spelling.
        if envelope.to_bytes() != text:
            raise _refused("it is not in canonical form")
        return envelope

    @staticmethod
    def from_json(document: Any) -> Envelope:
        """The envelope that a parsed document is, in whatever spelling. Raises EnvelopeError."""
        match document:
            case {
                "payload": str(payload),
                "payloadType": str(kind),
                "signatures": [{"keyid": str(key_id), "sig": str(signature)}],
            } if kind == PAYLOAD_TYPE and _KEY_ID.fullmatch(key_id):
                envelope = Envelope(_decoded(payload), key_id, _decoded(signature))
            case _:
                raise _refused("it is no DSSE envelope of one in-toto statement with one signature")
        if len(envelope.signature) != _SIGNATURE_BYTES:
            raise _refused("its signature is no Ed25519 signature")
        return envelope

    def to_bytes(self) -> bytes:
        """The envelope as JSON, in its one spelling."""
        return b'{"payload":"%s","payloadType":"%s","signatures":[{"keyid":%s,"sig":"%s"}]}' % (
            base64.b64encode(self.payload),
            PAYLOAD_TYPE.encode(),
            json.dumps(self.key_id).encode(),
            base64.b64encode(self.signature),
        )

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of the statement's bytes; the signature is no part of it."""
        return hashlib.sha256(self.payload).hexdigest()


def pre_authentication_encoding(payload: bytes) -> bytes:
    """What is signed: DSSE v1's PAE of an in-toto statement's bytes."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refused("a part of it is not base64") from None


def _refused(reason: str) -> EnvelopeError:
    return EnvelopeError(
        f"The envelope is refused: {reason}.", next_step="Get the evidence again from where it was exported."
    )
