"""Which of the texts that people wrote are signed: the ledger has the statement about just these words."""

from __future__ import annotations

import hashlib
from typing import LiteralString

SIGNED: LiteralString = (
    "t.statement, exists (select from ledger_statements s where s.digest = decode(t.statement, 'hex')) as is_signed "
)
"""Two columns for a query over a table called `t`: the digest of what was signed, and whether the ledger has it."""


def digest(text: str) -> str:
    """The SHA-256 (hex) by which a statement names a text that it does not hold."""
    return hashlib.sha256(text.encode()).hexdigest()
