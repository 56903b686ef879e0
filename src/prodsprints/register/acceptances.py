"""Acceptances: a person bears a risk as it is, for a reason and until a day; a drill that fails reopens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from prodsprints.incidents import typed
from prodsprints.kernel.clock import iso, now
from prodsprints.ledger import people
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.register.register import Register
from prodsprints.register.signed import SIGNED, digest
from prodsprints.store.database import Database, patient

_LONGEST_REASON = 2_000
_SELECT: LiteralString = (
    "select t.id, t.environment, t.risk_id as risk, t.person::text as person, t.reason, t.expires_at, t.created_at, "
    + SIGNED
    + "from acceptances t "
)


@dataclass(frozen=True)
class Acceptance:
    """Who bears a risk, why, and until when; without its statement in the ledger it counts for nothing.

    Whether it was reopened since is for the register to say: `assessment.risks[risk].is_accepted`.
    """

    id: UUID
    environment: str
    risk: str
    person: str
    reason: str
    expires_at: datetime
    created_at: datetime
    is_signed: bool

    def as_json(self, names: Mapping[str, str]) -> dict[str, Any]:
        """For programs; `names` are those of the people that are still known."""
        return {
            "id": str(self.id),
            "environment": self.environment,
            "risk": self.risk,
            "person": names.get(self.person),
            "reason": self.reason,
            "expires_at": iso(self.expires_at),
            "at": iso(self.created_at),
            "is_signed": self.is_signed,
        }


def accept(
    db: Database,
    ledger: Ledger,
    *,
    id: UUID,
    register: Register,
    environment: str,
    risk: str,
    reason: str,
    expires_at: datetime,
    actor: str,
) -> Acceptance:
    """Sign that `risk` is borne in `environment` as it is, until `expires_at`, for `reason`.

    Raises UnknownRiskError, and UsageError for what cannot be meant.
    """
    said_at = now()
    acceptance = Acceptance(
        id=id,
        environment=typed.environment(environment),
        risk=register.risk(risk).id,
        person=people.reference(db, ledger.tenant_id, actor),
        reason=typed.paragraphs(reason, "reason", _LONGEST_REASON),
        expires_at=typed.until(expires_at, said_at),
        created_at=said_at,
        is_signed=True,
    )
    statement = _statement(ledger.tenant_id, acceptance)
    with db.tenant(ledger.tenant_id) as connection:
        connection.execute(
            """
            insert into acceptances (id, environment, risk_id, person, reason, expires_at, statement)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            [
                id,
                acceptance.environment,
                risk,
                acceptance.person,
                acceptance.reason,
                acceptance.expires_at,
                statement.digest,
            ],
        )
    ledger.append(statement)
    return acceptance


@patient
def acceptances(
    db: Database, tenant_id: UUID, *, environment: str | None = None, risk: str | None = None, limit: int = 200
) -> list[Acceptance]:
    """The newest acceptances first; also those without a statement, which count for nothing."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            _SELECT
            + """
            where (%(environment)s::text is null or t.environment = %(environment)s)
              and (%(risk)s::text is null or t.risk_id = %(risk)s)
            order by t.created_at desc limit %(limit)s
            """,
            {"environment": environment, "risk": risk, "limit": limit},
        ).fetchall()
    return [_joined(tenant_id, entry) for entry in rows]


def _joined(tenant_id: UUID, entry: dict[str, Any]) -> Acceptance:
    said = entry.pop("statement")
    acceptance = Acceptance(**entry)
    is_signed = acceptance.is_signed and _statement(tenant_id, acceptance).digest == said
    return replace(acceptance, is_signed=is_signed)


def _statement(tenant_id: UUID, acceptance: Acceptance) -> Statement:
    reason = digest(acceptance.reason)
    predicate = {
        "tenant": str(tenant_id),
        "environment": acceptance.environment,
        "risk": acceptance.risk,
        "person": acceptance.person,
        "reason_sha256": reason,
        "expires_at": iso(acceptance.expires_at),
        "nonce": str(acceptance.id),
    }
    return Statement(PredicateType.ACCEPTANCE, (Subject(acceptance.risk, reason),), predicate)
