"""The register as JSON-ready values, for the API and `--json`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

from prodsprints.register.model import Mitigation, Risk
from prodsprints.register.register import Register


def as_json(register: Register, *, today: date, proven: Collection[str] = ()) -> dict[str, Any]:
    """The whole register on `today`; `proven` are the ids of the mitigations that evidence speaks for.

    A row says what is claimed (`claim`), what it still lacks before it could be proven (`lacks`), and whether it is
    (`proven`), which is looked up in the evidence and stands in no file.
    """
    summary = register.summary(today, proven)
    return {
        "schema": 1,
        "document": {
            "owner": register.document.owner,
            "executive_sponsor": register.document.executive_sponsor,
            "last_updated": register.document.last_updated.isoformat(),
            "next_review": register.document.next_review.isoformat(),
        },
        "summary": {
            "text": str(summary),
            "risks": summary.risks,
            "mitigations": summary.mitigations,
            "claimed": summary.claimed,
            "ongoing": summary.ongoing,
            "planned": summary.planned,
            "proven": summary.proven,
            "overdue": [{"subject": review.subject, "due": review.due.isoformat()} for review in summary.overdue],
        },
        "risks": [risk_as_json(risk, proven=proven) for risk in register.risks],
    }


def risk_as_json(risk: Risk, *, proven: Collection[str] = ()) -> dict[str, Any]:
    """One risk with its rows, as it stands in `as_json`."""
    return {
        "id": risk.id,
        "title": risk.title,
        "category": str(risk.category),
        "level": str(risk.level),
        "probability": int(risk.probability),
        "rating": str(risk.rating),
        "description": risk.description,
        "impact": risk.impact,
        "owner": risk.owner,
        "review": str(risk.review),
        "mitigations": [_row(mitigation, proven) for mitigation in risk.mitigations],
    }


def _row(mitigation: Mitigation, proven: Collection[str]) -> dict[str, Any]:
    return {
        "id": mitigation.id,
        "title": mitigation.title,
        "kind": str(mitigation.kind),
        "claim": str(mitigation.claim),
        "text": mitigation.text,
        "owner": mitigation.owner,
        "peer": mitigation.peer,
        "lacks": [str(part) for part in mitigation.lacks],
        "proven": mitigation.id in proven,
    }
