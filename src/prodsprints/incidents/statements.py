"""What is signed of an incident: which risk and rows it contradicts, and the digest of its words."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from prodsprints.incidents.records import Action, Incident
from prodsprints.ledger.statement import PredicateType, Statement, Subject


def statement_of(tenant_id: UUID, incident: Incident, action: Action) -> Statement:
    """The statement about `action`; the same for the same words, so that changed words show."""
    words = digest_of(incident.title, incident.what_happened, action.outcome or "")
    predicate: dict[str, Any] = {
        "tenant": str(tenant_id),
        "environment": incident.environment,
        "incident": str(incident.id),
        "action": action.action,
        "risk": incident.risk,
        "rows": list(incident.rows) if action.row is None else [action.row],
        "person": action.person,
        "words_sha256": words,
        "nonce": str(action.id),
    }
    if action.variant is not None:
        predicate["variant"] = action.variant
    return Statement(PredicateType.INCIDENT, (Subject(incident.risk, words),), predicate)


def digest_of(*texts: str) -> str:
    """The SHA-256 (hex) of several texts, each told apart from the next."""
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()
