"""The audit log (S003.4): privileged operations as signed statements in the ledger, so that a change to them shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from prodsprints.kernel import clock
from prodsprints.ledger import people
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger, Receipt
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.ledger.verification import Report, verify_log
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database

_MOST_NAME = 200


@dataclass(frozen=True)
class Operation:
    """Somebody did something privileged to something; `person` is empty once their name was erased."""

    index: int
    at: datetime
    person: str
    action: str
    subject: str


class AuditLog:
    """One tenant's privileged operations: written before they are done, read in order, verified on request."""

    def __init__(self, db: Database, ledger: Ledger, *, keyring: Keyring, witness: Witness) -> None:
        self._db = db
        self._ledger = ledger
        self._keyring = keyring
        self._witness = witness

    def record(self, actor: str, action: str, subject: str) -> Receipt:
        """Note that `actor` does `action` to `subject`; it is on disk when this returns, so do it only then.

        The name stays out of the statement, and can be erased. Raises what `Ledger.append` raises.
        """
        tenant_id = self._ledger.tenant_id
        said = Statement(
            PredicateType.OPERATION,
            (Subject(subject[:_MOST_NAME], hashlib.sha256(subject.encode()).hexdigest()),),
            {
                "tenant": str(tenant_id),
                "person": people.reference(self._db, tenant_id, actor),
                "action": action,
                "subject": subject,
                "at": clock.iso(clock.now()),
                "nonce": uuid4().hex,
            },
        )
        return self._ledger.append(said)

    def operations(self, *, after: int = -1, limit: int = 1_000) -> list[Operation]:
        """The operations among the `limit` entries behind `after`. Raises LedgerTamperedError."""
        entries = self._ledger.entries(after, limit)
        found = [entry for entry in entries if entry.statement.type is PredicateType.OPERATION]
        names = people.names(
            self._db, self._ledger.tenant_id, {str(entry.statement.predicate["person"]) for entry in found}
        )
        return [
            Operation(
                entry.index,
                entry.at,
                names.get(entry.statement.predicate["person"], ""),
                entry.statement.predicate["action"],
                entry.statement.predicate["subject"],
            )
            for entry in found
        ]

    def verify(self) -> Report:
        """Whether the whole log is as it was signed and witnessed."""
        return verify_log(self._db, self._ledger.tenant_id, self._keyring, self._witness)
