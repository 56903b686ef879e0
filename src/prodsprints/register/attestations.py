"""Attestations: a person signs, with evidence and until a day, that a row is held which no software can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from prodsprints.incidents import typed
from prodsprints.kernel.clock import iso, now
from prodsprints.kernel.validation import nearest
from prodsprints.ledger import people
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.register.errors import AttestationError, UnknownRiskError
from prodsprints.register.model import Kind, Mitigation
from prodsprints.register.register import Register
from prodsprints.register.signed import SIGNED, digest
from prodsprints.store.database import Database, patient

_LONGEST_EVIDENCE = 500
_SELECT: LiteralString = (
    "select t.id, t.environment, t.row_id as row, t.person::text as person, t.evidence, t.expires_at, t.created_at, "
    + SIGNED
    + "from attestations t "
)


@dataclass(frozen=True)
class Attestation:
    """What somebody signed for, in `evidence`'s words; without its statement in the ledger it counts for nothing."""

    id: UUID
    environment: str
    row: str
    person: str
    evidence: str
    expires_at: datetime
    created_at: datetime
    is_signed: bool

    def holds(self, at: datetime) -> bool:
        """Signed and not expired. Whether it is the row's newest is for the register to say."""
        return self.is_signed and at < self.expires_at

    def as_json(self, names: Mapping[str, str]) -> dict[str, Any]:
        """For programs; `names` are those of the people that are still known."""
        return {
            "id": str(self.id),
            "environment": self.environment,
            "row": self.row,
            "person": names.get(self.person),
            "evidence": self.evidence,
            "expires_at": iso(self.expires_at),
            "at": iso(self.created_at),
            "is_signed": self.is_signed,
        }


def attest(
    db: Database,
    ledger: Ledger,
    *,
    id: UUID,
    register: Register,
    environment: str,
    row: str,
    evidence: str,
    expires_at: datetime,
    actor: str,
) -> Attestation:
    """Sign that `row` is held in `environment` until `expires_at`, as `evidence` (words, or where to look) shows.

    Raises UnknownRiskError, AttestationError for a row that software has to hold, UsageError for the rest.
    """
    if _row(register, row).kind is Kind.CONTROL:
        raise AttestationError(
            f"{row} is held by software: no signature makes it green.",
            next_step=f"Drill it: `prodsprints drill run {row}`.",
        )
    said_at = now()
    attestation = Attestation(
        id=id,
        environment=typed.environment(environment),
        row=row,
        person=people.reference(db, ledger.tenant_id, actor),
        evidence=typed.paragraphs(evidence, "evidence", _LONGEST_EVIDENCE),
        expires_at=typed.until(expires_at, said_at),
        created_at=said_at,
        is_signed=True,
    )
    statement = _statement(ledger.tenant_id, attestation)
    with db.tenant(ledger.tenant_id) as connection:
        connection.execute(
            """
            insert into attestations (id, environment, row_id, person, evidence, expires_at, statement)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            [
                id,
                attestation.environment,
                row,
                attestation.person,
                attestation.evidence,
                attestation.expires_at,
                statement.digest,
            ],
        )
    ledger.append(statement)
    return attestation


@patient
def attestations(
    db: Database, tenant_id: UUID, *, environment: str | None = None, row: str | None = None, limit: int = 200
) -> list[Attestation]:
    """The newest attestations first; also those without a statement, which count for nothing."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            _SELECT
            + """
            where (%(environment)s::text is null or t.environment = %(environment)s)
              and (%(row)s::text is null or t.row_id = %(row)s)
            order by t.created_at desc limit %(limit)s
            """,
            {"environment": environment, "row": row, "limit": limit},
        ).fetchall()
    return [_joined(tenant_id, entry) for entry in rows]


def _joined(tenant_id: UUID, entry: dict[str, Any]) -> Attestation:
    said = entry.pop("statement")
    attestation = Attestation(**entry)
    is_signed = attestation.is_signed and _statement(tenant_id, attestation).digest == said
    return replace(attestation, is_signed=is_signed)


def _statement(tenant_id: UUID, attestation: Attestation) -> Statement:
    evidence = digest(attestation.evidence)
    predicate = {
        "tenant": str(tenant_id),
        "environment": attestation.environment,
        "row": attestation.row,
        "person": attestation.person,
        "evidence": f"sha256:{evidence}",  # the words may name people: they stay where they can be erased
        "expires_at": iso(attestation.expires_at),
        "nonce": str(attestation.id),
    }
    return Statement(PredicateType.ATTESTATION, (Subject(attestation.row, evidence),), predicate)


def _row(register: Register, id: str) -> Mitigation:
    rows = {row.id: row for row in register.risk(id.partition(".")[0]).mitigations}
    if id not in rows:
        raise UnknownRiskError(
            f"There is no row {id[:60]!r} in the register{nearest(id, rows) or '.'}",
            next_step=f"`prodsprints register show {id.partition('.')[0]}` lists the rows of that risk.",
        )
    return rows[id]
