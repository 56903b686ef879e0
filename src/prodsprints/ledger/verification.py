"""Verifying a whole log where it is stored: every row, against the keys, its checkpoints and the witness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from prodsprints.ledger.checkpoint import Checkpoint
from prodsprints.ledger.errors import BundleError, LedgerTamperedError, SignatureError
from prodsprints.ledger.examination import Examined, Finding, Report, Walk, examine
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Keys
from prodsprints.ledger.merkle import Node
from prodsprints.ledger.tree import edge, is_stored
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Connection, Database

__all__ = ["Finding", "Report", "verify_log"]

_PAGE = 1_000


def verify_log(db: Database, tenant_id: UUID, keyring: Keyring, witness: Witness) -> Report:
    """Go through the tenant's log and find whatever is not as it was signed. Raises KeyLostError for a begun log."""
    # The witness first: it learns of a checkpoint after the database, so what is read there later has at least as many.
    witnessed = witness.seen(tenant_id)
    with db.tenant(tenant_id) as connection:
        notes = connection.execute(_NOTES, [tenant_id]).fetchall()
        begun = connection.execute("select from ledger_statements where tenant_id = %s limit 1", [tenant_id]).fetchone()
    if begun is None and not notes and not witnessed and not keyring.has(tenant_id):
        return Report(0, ())
    keys = keyring.keys(tenant_id)
    stored, findings = _read(notes, keys)
    walk = Walk([("the database", one) for one in stored] + [("the witness", one) for one in witnessed])
    walk.findings += findings
    for one in witnessed:
        walk.findings += _signed_by_others(one, keys)
    filled: list[Node] = []
    for row in _rows(db, tenant_id, max((one.size for one in stored), default=0)):
        if row["envelope"] is None:
            gone = Finding("deleted", row["index"], f"What entry {row['index']} said is missing.")
            entry = Examined(row["leaf"], b"", gone)
        else:
            entry = examine(keys, row["index"], row["at"], row["envelope"])
        walk.findings += _filed_wrongly(row, entry)
        added = walk.take(row["index"], row["at"], entry, order=row["statement_id"])
        filled += [node for node in added if is_stored(node)]
    with db.tenant(tenant_id) as connection:
        walk.findings += _nodes_changed(connection, tenant_id, filled)
        walk.findings += _left_out(connection, tenant_id, keys)
    return walk.report()


def _read(rows: list[dict[str, Any]], keys: Keys) -> tuple[list[Checkpoint], list[Finding]]:
    """The stored checkpoints that can be read, and what is wrong with any of them."""
    read: list[Checkpoint] = []
    findings: list[Finding] = []
    for row in rows:
        index = row["size"] - 1
        try:
            checkpoint = Checkpoint.parse(row["note"])
            edge(checkpoint, row["frontier"])
        except (BundleError, LedgerTamperedError) as error:
            findings.append(Finding("edited", index, error.what))
            continue
        read.append(checkpoint)
        findings += _signed_by_others(checkpoint, keys)
        if checkpoint.size != row["size"]:
            findings.append(Finding("edited", index, f"The checkpoint at {checkpoint.size} is filed at {row['size']}."))
    return read, findings


def _signed_by_others(checkpoint: Checkpoint, keys: Keys) -> Iterator[Finding]:
    try:
        checkpoint.verify(keys)
    except SignatureError as error:
        yield Finding(error.kind, checkpoint.size - 1, error.what)


def _rows(db: Database, tenant_id: UUID, size: int) -> Iterator[dict[str, Any]]:
    """Every row that the newest checkpoint counts, a page at a time: behind it the sequencer may go on."""
    after = -1
    while after + 1 < size:
        with db.tenant(tenant_id) as connection:
            page = connection.execute(_ROWS, [tenant_id, after, size, _PAGE]).fetchall()
        yield from page
        if not page:
            return
        after = page[-1]["index"]


def _filed_wrongly(row: dict[str, Any], entry: Examined) -> Iterator[Finding]:
    index = row["index"]
    if entry.finding is None and entry.leaf != row["leaf"]:
        yield Finding("edited", index, f"The stored hash of entry {index} is not that of its content.")
    if entry.finding is None and entry.digest != row["digest"]:
        yield Finding("edited", index, f"Entry {index} is filed under another statement.")


def _nodes_changed(connection: Connection, tenant_id: UUID, filled: list[Node]) -> Iterator[Finding]:
    rows = connection.execute("select level, number, hash from ledger_nodes where tenant_id = %s", [tenant_id])
    stored = {(row["level"], row["number"]): row["hash"] for row in rows}
    for node in filled:
        if stored.get((node.level, node.number)) != node.hash:
            first = node.number << node.level
            yield Finding("edited", first, f"The stored hash over the entries from {first} on is not theirs.")
            return


def _left_out(connection: Connection, tenant_id: UUID, keys: Keys) -> Iterator[Finding]:
    """What was stored has an entry, or waits for one; one look, so that nothing moves between the two."""
    rows = connection.execute(_LEFT_OUT, {"tenant": tenant_id, "keys": [key.id for key in keys.keys if key.is_current]})
    for row in rows:
        if row["index"] is not None:
            yield Finding("forked", row["index"], f"Entry {row['index']} stands behind the newest checkpoint.")
        else:
            yield Finding("deleted", None, f"The statement {row['digest'].hex()[:12]} was taken out of the queue.")


_NOTES = "select size, note, frontier from ledger_checkpoints where tenant_id = %s order by size"

# PostgreSQL knows times that Python does not: what its owner wrote there is to be found, and not to stop us.
_ROWS = """
select e.index, greatest(least(e.at, '9999-12-30'), '0001-01-02') as at, e.leaf, e.statement_id, s.envelope, s.digest
from ledger_entries e left join ledger_statements s on s.id = e.statement_id and s.tenant_id = e.tenant_id
where e.tenant_id = %s and e.index > %s and e.index < %s order by e.index limit %s
"""

_LEFT_OUT = """
(select null::bigint as index, s.digest from ledger_statements s
 where s.tenant_id = %(tenant)s and s.key_id = any(%(keys)s)
   and not exists (select from ledger_entries e where e.statement_id = s.id)
   and not exists (select from ledger_queue q where q.tenant_id = s.tenant_id and q.statement_id = s.id) limit 1)
union all
(select e.index, null from ledger_entries e where e.tenant_id = %(tenant)s
   and e.index >= coalesce((select max(size) from ledger_checkpoints where tenant_id = %(tenant)s), 0) limit 1)
"""
