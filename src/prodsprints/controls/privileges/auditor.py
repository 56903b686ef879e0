"""An auditor with tools of its own: reads the log's tables, and believes only what it works out by itself.

Written from the documents (DSSE, in-toto, RFC 9162, C2SP signed notes) without the ledger's code, so that the two check
each other.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from prodsprints.store.database import Connection

_ROLES = {"operation": "platform", "keys": "platform", "document": "platform"}


def complaint(connection: Connection, tenant_id: UUID) -> str:
    """What is wrong with a log of less than 65,536 operations whose keys were never rotated; empty if nothing is."""
    rows = connection.execute(
        "select e.index, e.at, s.envelope from ledger_entries e join ledger_statements s on s.id = e.statement_id"
        " where e.tenant_id = %s order by e.index",
        [tenant_id],
    ).fetchall()
    notes = connection.execute(
        "select size, note from ledger_checkpoints where tenant_id = %s order by size", [tenant_id]
    ).fetchall()
    try:
        keys = _keys(_statement(rows[0])["predicate"]["keys"])
        for place, row in enumerate(rows):
            if row["index"] != place or (wrong := _wrong_entry(row, keys, tenant_id)):
                return f"entry {place}: {wrong if row['index'] == place else 'another index'}"
        leaves = [_hash(b"\0", _time(row["at"]), _hash(row["envelope"])) for row in rows]
        nodes = connection.execute("select level, number, hash from ledger_nodes where tenant_id = %s", [tenant_id])
        expected = {(8, n): _root(leaves[256 * n : 256 * n + 256]) for n in range(len(leaves) // 256)}
        if {(row["level"], row["number"]): row["hash"] for row in nodes} != expected:
            return "the stored hashes are not those over 256 entries each"
        for row in notes:
            _check_note(row["note"], row["size"], leaves, rows, keys, tenant_id)
    except (InvalidSignature, KeyError, IndexError, ValueError) as error:
        return f"{type(error).__name__} {error}"
    return "" if notes and notes[-1]["size"] == len(rows) else "the last checkpoint does not count all entries"


def _keys(items: list[dict[str, Any]]) -> dict[str, tuple[str, bytes]]:
    keys = {item["id"]: (item["role"], base64.b64decode(item["public"])) for item in items}
    if any(_hash(public).hex()[:32] != id for id, (_, public) in keys.items()):
        raise ValueError("a key is not named by its digest")
    return keys


def _statement(row: dict[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(row["envelope"])["payload"]))
    return statement


def _wrong_entry(row: dict[str, Any], keys: dict[str, tuple[str, bytes]], tenant_id: UUID) -> str:
    envelope = json.loads(row["envelope"])
    payload = base64.b64decode(envelope["payload"])
    statement = json.loads(payload)
    [signature] = envelope["signatures"]
    role, public = keys[signature["keyid"]]
    kind = "application/vnd.in-toto+json"
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature["sig"]), signed)
    canonical = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    said = statement["predicate"]
    for wrong, what in (
        (envelope["payloadType"] != kind, "another payload type"),
        (statement["_type"] != "https://in-toto.io/Statement/v1", "no in-toto statement"),
        (canonical != payload, "another spelling"),
        (role != _ROLES.get(statement["predicateType"].split(":")[2]), "signed by another role"),
        (said["tenant"] != str(tenant_id), "of another tenant"),
        (len(said["nonce"]) != 32, "no nonce"),
        ("subject" in said and _wrong_subject(statement, row["at"]), "its subject or its time is another one"),
    ):
        if wrong:
            return what
    return ""


def _wrong_subject(statement: dict[str, Any], at: datetime) -> bool:
    said = statement["predicate"]
    [subject] = statement["subject"]
    late = at - datetime.fromisoformat(said["at"])
    return (
        subject["name"] != said["subject"]
        or subject["digest"]["sha256"] != _hash(said["subject"].encode()).hex()
        or not timedelta(seconds=-1) < late < timedelta(minutes=5)
    )


def _check_note(
    note: str, size: int, leaves: list[bytes], rows: list[Any], keys: dict[str, tuple[str, bytes]], tenant_id: UUID
) -> None:
    body, _, line = note.partition("\n\n— ")
    name, _, stamped = line.rstrip("\n").partition(" ")
    expected = [f"urn:prodsprints:log:{tenant_id}", str(size), base64.b64encode(_root(leaves[:size])).decode()]
    time = int.from_bytes(_time(rows[size - 1]["at"]), "big")
    if body.split("\n") != [*expected, f"time {time}"] or name != expected[0]:
        raise ValueError(f"the checkpoint at {size} says something else")
    [public] = [public for role, public in keys.values() if role == "log"]
    decoded = base64.b64decode(stamped)
    if decoded[:4] != _hash(name.encode(), b"\n\1", public)[:4]:
        raise ValueError(f"the checkpoint at {size} names another key")
    Ed25519PublicKey.from_public_bytes(public).verify(decoded[4:], f"{body}\n".encode())


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return _hash(b"\1", _root(leaves[:split]), _root(leaves[split:]))


def _time(at: datetime) -> bytes:
    return ((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)).to_bytes(8, "big")


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
