"""The stored Merkle tree of one log: hashes of full subtrees, read from the database a few hundred at a time."""

from __future__ import annotations

import hmac
from functools import cache
from uuid import UUID

from prodsprints.ledger import merkle
from prodsprints.ledger.checkpoint import Checkpoint
from prodsprints.ledger.errors import LedgerTamperedError
from prodsprints.ledger.merkle import Frontier, Node
from prodsprints.store.database import Connection

STORED_EVERY = 8
"""Between a leaf and the root, the hashes of every eighth level are stored; those between them are made again."""

_RUN = 1 << STORED_EVERY


class StoredTree:
    """Looks at one log within one transaction. What it answers is only as good as the signed root it leads to."""

    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._run = cache(self._read)

    def subtree(self, level: int, number: int) -> bytes:
        """The root of a full subtree (see `merkle.Subtree`). Raises LedgerTamperedError when hashes are missing."""
        stored = level // STORED_EVERY * STORED_EVERY
        first, count = number << level - stored, 1 << level - stored
        run = self._run(stored, first // _RUN)
        hashes = [run.get(position) for position in range(first, first + count)]
        if None in hashes:
            raise LedgerTamperedError(
                "Hashes of the log are missing.", kind="deleted", index=(first + hashes.index(None)) << stored
            )
        return merkle.root(one for one in hashes if one is not None)

    def _read(self, stored: int, run: int) -> dict[int, bytes]:
        bounds = [self._tenant_id, run * _RUN, (run + 1) * _RUN]
        if stored == 0:
            rows = self._connection.execute(
                "select index as number, leaf as hash from ledger_entries"
                " where tenant_id = %s and index >= %s and index < %s",
                bounds,
            )
        else:
            rows = self._connection.execute(
                "select number, hash from ledger_nodes"
                " where tenant_id = %s and number >= %s and number < %s and level = %s",
                [*bounds, stored],
            )
        return {row["number"]: row["hash"] for row in rows}


def is_stored(node: Node) -> bool:
    """Whether the sequencer stores the node."""
    return node.level > 0 and node.level % STORED_EVERY == 0


def edge(checkpoint: Checkpoint, stored: bytes) -> Frontier:
    """The frontier that was stored beside a checkpoint, if it leads to that root. Raises LedgerTamperedError."""
    try:
        frontier = Frontier(checkpoint.size, merkle.hashes_in(stored))
    except ValueError:
        frontier = Frontier()
    if not hmac.compare_digest(frontier.root(), checkpoint.root):
        raise LedgerTamperedError(
            f"The edge of the tree that is stored with the checkpoint at {checkpoint.size} does not lead to its root.",
            kind="edited",
            index=checkpoint.size - 1,
        )
    return frontier
