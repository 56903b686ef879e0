"""What the owner of a database could do to a log that is kept in it: for the drill, the tests and the benchmark.

The owner knows how the log is built: whatever can be made to fit without a key of the log is made to fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import sql

from prodsprints.ledger import merkle
from prodsprints.ledger.checkpoint import leaf_data
from prodsprints.ledger.envelope import Envelope, pre_authentication_encoding
from prodsprints.ledger.errors import EnvelopeError
from prodsprints.ledger.keys import key_id
from prodsprints.ledger.tree import is_stored
from prodsprints.store.database import Connection

TABLES = ("ledger_statements", "ledger_entries", "ledger_nodes", "ledger_checkpoints", "ledger_queue")


@dataclass(frozen=True)
class Constraint:
    """What keeps rows apart; no obstacle, since the owner can take it away."""

    table: str
    name: str
    columns: LiteralString


_SAID_ONCE = Constraint("ledger_statements", "ledger_statements_tenant_id_digest_key", "tenant_id, digest")
_PLACED_ONCE = Constraint("ledger_entries", "ledger_entries_statement_id_key", "statement_id")


@dataclass(frozen=True)
class Tampering:
    """One way to change a log of at least four entries; `act` returns in words what was done."""

    kind: str
    act: Callable[[Connection, UUID, Random], str]
    in_its_way: Constraint | None = None


@contextmanager
def tampered(connection: Connection, tenant_id: UUID, tampering: Tampering, random: Random) -> Iterator[str]:
    """The tenant's log as the owner left it, for the length of the block; afterwards it is as it was before."""
    with connection.transaction(), _unbound(connection):
        _each(connection, "create temporary table {kept} as table {table}")
        if tampering.in_its_way is not None:
            _run(connection, "alter table {} drop constraint {}", tampering.in_its_way)
        done = tampering.act(connection, tenant_id, random)
    try:
        yield done
    finally:
        with connection.transaction(), _unbound(connection):
            _each(connection, "delete from {table}")
            _each(connection, "insert into {table} ({columns}) overriding system value select {columns} from {kept}")
            _each(connection, "drop table {kept}")
            if tampering.in_its_way is not None:
                again: LiteralString = "alter table {} add constraint {} unique (" + tampering.in_its_way.columns + ")"
                _run(connection, again, tampering.in_its_way)


def fingerprint(connection: Connection) -> str:
    """A digest of all rows of the log: another one means that something was changed."""
    with connection.transaction(force_rollback=True), _unbound(connection):
        content = _each(connection, "select t::text as row from {table} t order by 1")
    return hashlib.sha256(repr([cursor.fetchall() for cursor in content]).encode()).hexdigest()


@contextmanager
def _unbound(connection: Connection) -> Iterator[None]:
    """The owner is bound by row-level security only as long as it wants to be."""
    _each(connection, "alter table {table} disable row level security")
    yield
    _each(connection, "alter table {table} enable row level security")


def _each(connection: Connection, statement: LiteralString) -> list[psycopg.Cursor[dict[str, Any]]]:
    return [
        connection.execute(
            sql.SQL(statement).format(
                table=sql.Identifier(table),
                kept=sql.Identifier(f"kept_{table}"),
                columns=sql.SQL(", ").join(map(sql.Identifier, _columns(connection, table))),
            )
        )
        for table in TABLES
    ]


def _run(connection: Connection, statement: LiteralString, on: Constraint) -> None:
    connection.execute(sql.SQL(statement).format(sql.Identifier(on.table), sql.Identifier(on.name)))


def _columns(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and attgenerated = ''", [table]
    )
    return [row["attname"] for row in rows]


def _edit(connection: Connection, tenant_id: UUID, random: Random) -> str:
    entries = _entries(connection, tenant_id)
    entry, other = random.sample(entries, 2)
    envelope = Envelope.from_bytes(entry["envelope"])
    rewritten = envelope.payload.replace(b'"nonce":"', b'"nonce":"0')
    done, text = random.choice(
        (
            ("flipped a bit of", _flipped(entry["envelope"], random)),
            ("rewrote", Envelope(rewritten, envelope.key_id, envelope.signature).to_bytes()),
            ("rewrote, and signed with a key of its own,", _signed_by_the_owner(rewritten).to_bytes()),
            ("copied another entry over", other["envelope"]),
        )
    )
    connection.execute("update ledger_statements set envelope = %s where id = %s", [text, entry["statement_id"]])
    if random.random() < 0.5:
        _file_again(connection, entry["statement_id"], text)
    return _made_to_fit(connection, tenant_id, random, f"{done} entry {entry['index']}")


def _move_in_time(connection: Connection, tenant_id: UUID, random: Random) -> str:
    entry = random.choice(_entries(connection, tenant_id))
    moved = entry["at"] + timedelta(microseconds=random.choice((-1, 1)) * random.randint(1, 10**12))
    connection.execute(
        "update ledger_entries set at = %s where tenant_id = %s and index = %s", [moved, tenant_id, entry["index"]]
    )
    return _made_to_fit(connection, tenant_id, random, f"moved the time of entry {entry['index']}")


def _edit_filing(connection: Connection, tenant_id: UUID, random: Random) -> str:
    """What is kept beside an entry, to find it and to prove it."""
    entry = random.choice(_entries(connection, tenant_id))
    if random.random() < 0.5:
        digest = random.randbytes(merkle.HASH_BYTES)
        connection.execute("update ledger_statements set digest = %s where id = %s", [digest, entry["statement_id"]])
        return f"filed entry {entry['index']} under another digest"
    connection.execute(
        "update ledger_entries set leaf = %s where tenant_id = %s and index = %s",
        [_flipped(entry["leaf"], random), tenant_id, entry["index"]],
    )
    return f"edited the hash of entry {entry['index']}"


def _edit_checkpoint(connection: Connection, tenant_id: UUID, random: Random) -> str:
    rows = connection.execute("select * from ledger_checkpoints where tenant_id = %s order by size", [tenant_id])
    row = random.choice(rows.fetchall())
    at = random.randrange(len(row["note"]))
    other = random.choice([letter for letter in "019abcXYZ/+=" if letter != row["note"][at]])
    note, frontier = row["note"][:at] + other + row["note"][at + 1 :], row["frontier"]
    if random.random() < 0.3:
        note, frontier = row["note"], _flipped(row["frontier"], random)
    connection.execute(
        "update ledger_checkpoints set note = %s, frontier = %s where tenant_id = %s and size = %s",
        [note, frontier, tenant_id, row["size"]],
    )
    return f"edited the checkpoint at {row['size']}"


def _edit_node(connection: Connection, tenant_id: UUID, random: Random) -> str:
    rows = connection.execute("select * from ledger_nodes where tenant_id = %s order by level, number", [tenant_id])
    nodes = rows.fetchall()
    if not nodes:  # a short log has none
        return _edit_filing(connection, tenant_id, random)
    node = random.choice(nodes)
    connection.execute(
        "update ledger_nodes set hash = %s where tenant_id = %s and level = %s and number = %s",
        [_flipped(node["hash"], random), tenant_id, node["level"], node["number"]],
    )
    return f"edited the hash over 2^{node['level']} entries"


def _delete(connection: Connection, tenant_id: UUID, random: Random) -> str:
    entries = _entries(connection, tenant_id)
    entry = random.choice(entries[:-1])
    index = entry["index"]
    how = random.randrange(3)
    if how != 1:
        connection.execute("delete from ledger_statements where id = %s", [entry["statement_id"]])
    if how != 0:
        connection.execute("delete from ledger_entries where tenant_id = %s and index = %s", [tenant_id, index])
    if how == 2:
        for later in range(index + 1, len(entries)):
            connection.execute(
                "update ledger_entries set index = %s where tenant_id = %s and index = %s",
                [later - 1, tenant_id, later],
            )
        if random.random() < 0.5:
            connection.execute(
                "delete from ledger_checkpoints where tenant_id = %s and size >= %s", [tenant_id, len(entries)]
            )
    done = ("what it said", "its place in the log", "it, and closed the gap")[how]
    return _made_to_fit(connection, tenant_id, random, f"deleted of entry {index} {done}")


def _reorder(connection: Connection, tenant_id: UUID, random: Random) -> str:
    one, other = random.sample(_entries(connection, tenant_id), 2)
    for entry, statement in ((one, other["statement_id"]), (other, one["statement_id"])):
        connection.execute(
            "update ledger_entries set statement_id = %s where tenant_id = %s and index = %s",
            [statement, tenant_id, entry["index"]],
        )
    return _made_to_fit(
        connection, tenant_id, random, f"changed the places of entries {one['index']} and {other['index']}"
    )


def _truncate(connection: Connection, tenant_id: UUID, random: Random) -> str:
    entries = _entries(connection, tenant_id)
    size = random.randrange(len(entries))
    _cut(connection, tenant_id, entries, size, also_statements=random.random() < 0.5)
    return _made_to_fit(connection, tenant_id, random, f"cut the log off behind {size} entries")


def _fork(connection: Connection, tenant_id: UUID, random: Random) -> str:
    """Another end for the same beginning: some of the genuine entries, in another order."""
    entries = _entries(connection, tenant_id)
    size = random.randrange(1, len(entries) - 1)
    note = connection.execute(
        "select note, at from ledger_checkpoints where tenant_id = %s order by size desc limit 1", [tenant_id]
    ).fetchone()
    _cut(connection, tenant_id, entries, size, also_statements=False)
    end = other = entries[size:]
    while other == end:
        other = random.sample(end, random.randint(1, len(end)))
    for place, entry in enumerate(other, start=size):
        connection.execute(
            "insert into ledger_entries (tenant_id, index, at, statement_id, leaf) values (%s, %s, %s, %s, %s)",
            [tenant_id, place, entry["at"], entry["statement_id"], entry["leaf"]],
        )
    if note is not None and random.random() < 0.5:
        connection.execute(
            "insert into ledger_checkpoints (tenant_id, size, at, note, frontier) values (%s, %s, %s, %s, '')",
            [tenant_id, size + len(other), note["at"], note["note"]],
        )
    return _made_to_fit(connection, tenant_id, random, f"gave the log another end behind {size} entries")


EVERY = (
    Tampering("edit", _edit, _SAID_ONCE),
    Tampering("edit-time", _move_in_time),
    Tampering("edit-filing", _edit_filing),
    Tampering("edit-checkpoint", _edit_checkpoint),
    Tampering("edit-hash", _edit_node),
    Tampering("delete", _delete),
    Tampering("reorder", _reorder, _PLACED_ONCE),
    Tampering("truncate", _truncate),
    Tampering("fork", _fork),
)


def _entries(connection: Connection, tenant_id: UUID) -> list[dict[str, Any]]:
    return connection.execute(
        "select e.*, s.envelope from ledger_entries e join ledger_statements s on s.id = e.statement_id"
        " where e.tenant_id = %s order by e.index",
        [tenant_id],
    ).fetchall()


def _cut(
    connection: Connection, tenant_id: UUID, entries: list[dict[str, Any]], size: int, *, also_statements: bool
) -> None:
    connection.execute("delete from ledger_entries where tenant_id = %s and index >= %s", [tenant_id, size])
    connection.execute("delete from ledger_checkpoints where tenant_id = %s and size > %s", [tenant_id, size])
    if also_statements:
        gone = [entry["statement_id"] for entry in entries[size:]]
        connection.execute("delete from ledger_statements where id = any(%s)", [gone])


def _made_to_fit(connection: Connection, tenant_id: UUID, random: Random, done: str) -> str:
    """Two times out of three also what follows from the entries, as far as it can be had without a key."""
    if random.random() < 0.33:
        return done
    frontier = merkle.Frontier()
    leaves: list[tuple[bytes, int]] = []
    nodes: list[merkle.Node] = []
    edges: list[tuple[bytes, int]] = []
    for entry in _entries(connection, tenant_id):
        leaf = merkle.leaf_hash(leaf_data(entry["at"], hashlib.sha256(entry["envelope"]).digest()))
        leaves.append((leaf, entry["index"]))
        nodes += filter(is_stored, frontier.append(leaf))
        edges.append((b"".join(frontier.hashes), frontier.size))
    cursor = connection.cursor()
    cursor.execute("delete from ledger_nodes where tenant_id = %s", [tenant_id])
    cursor.executemany(
        "insert into ledger_nodes values (%s, %s, %s, %s)",
        [(tenant_id, node.level, node.number, node.hash) for node in nodes],
    )
    set_leaf: LiteralString = "update ledger_entries set leaf = %s where tenant_id = %s and index = %s"
    set_edge: LiteralString = "update ledger_checkpoints set frontier = %s where tenant_id = %s and size = %s"
    for statement, values in ((set_leaf, leaves), (set_edge, edges)):
        cursor.executemany(statement, [(value, tenant_id, place) for value, place in values])
    return f"{done}, and made the hashes fit"


def _file_again(connection: Connection, statement_id: int, text: bytes) -> None:
    try:
        digest = bytes.fromhex(Envelope.from_bytes(text).digest)
    except EnvelopeError:
        return
    connection.execute("update ledger_statements set digest = %s where id = %s", [digest, statement_id])


def _flipped(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]


def _signed_by_the_owner(payload: bytes) -> Envelope:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return Envelope(payload, key_id(public), private.sign(pre_authentication_encoding(payload)))
