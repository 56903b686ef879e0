"""The register as JSON-ready values, for the API and `--json`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from prodsprints.kernel import clock
from prodsprints.register.assessment import Assessment, RiskStanding
from prodsprints.register.model import Mitigation, Risk
from prodsprints.register.register import Register
from prodsprints.register.residual import Exposure
from prodsprints.register.status import RowStatus
from prodsprints.register.summary import Review


def as_json(
    register: Register,
    *,
    today: date,
    assessment: Assessment | None = None,
    overdue: Collection[Review] | None = None,
) -> dict[str, Any]:
    """The whole register on `today`: what is claimed and, with an `assessment`, what is known of it in one environment.

    A row says what is claimed (`claim`), what it still lacks before it could be proven (`lacks`), and its status, which
    is looked up in the evidence and stands in no file.
    """
    summary = register.summary(today, assessment.counts if assessment else None, overdue)
    whole: dict[str, Any] = {
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
            **{name: count for name, count in summary.counts.as_json().items() if name not in ("risks", "mitigations")},
            "overdue": [{"subject": review.subject, "due": review.due.isoformat()} for review in summary.overdue],
        },
        "risks": [risk_as_json(risk, assessment) for risk in register.risks],
    }
    if assessment is not None:
        whole |= _assessed(assessment)
    return whole


def risk_as_json(risk: Risk, assessment: Assessment | None = None) -> dict[str, Any]:
    """One risk with its rows, as it stands in `as_json`."""
    told: dict[str, Any] = {
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
        "paths": [{"name": path.name, "share": path.share, "held_by": list(path.held_by)} for path in risk.paths],
        "mitigations": [row_as_json(row, assessment) for row in risk.mitigations],
    }
    if assessment is not None:
        told |= _standing(assessment.risks[risk.id])
    return told


def row_as_json(row: Mitigation, assessment: Assessment | None = None) -> dict[str, Any]:
    """One row, as it stands in `risk_as_json`."""
    told: dict[str, Any] = {
        "id": row.id,
        "title": row.title,
        "kind": str(row.kind),
        "claim": str(row.claim),
        "text": row.text,
        "owner": row.owner,
        "peer": row.peer,
        "control": row.control,
        "drills": list(row.drills),
        "max_age_days": row.max_age_days,
        "lacks": [str(part) for part in row.lacks],
    }
    if assessment is not None:
        told |= _status(assessment.rows[row.id], assessment.now)
    return told


def _assessed(assessment: Assessment) -> dict[str, Any]:
    return {
        "environment": assessment.environment,
        "assessed_at": clock.iso(assessment.now),
        "log": {**asdict(assessment.log), "outside_witness": assessment.outside_witness},
        "closing_line": assessment.closing_line,
        "ignored": [{"index": one.index, "why": one.why} for one in assessment.ignored],
    }


def _standing(standing: RiskStanding) -> dict[str, Any]:
    accepted = standing.acceptance
    return {
        "status": str(standing.status),
        "treatment": standing.treatment,
        "inherent": _exposure(standing.inherent),
        "residual": _exposure(standing.residual),
        "target": None if standing.target is None else _exposure(standing.target),
        "acceptance": None
        if accepted is None
        else {
            "holds": standing.is_accepted,
            "evidence": accepted.word.index,
            "person": accepted.word.person,
            "expires_at": _iso(accepted.word.expires_at),
            "reopened_by": None if accepted.reopened is None else accepted.reopened.index,
        },
    }


def _exposure(exposure: Exposure) -> dict[str, Any]:
    return {
        "rating": str(exposure.rating),
        "probability": int(exposure.probability),
        "chance": round(exposure.chance, 6),
        "events_per_year": round(exposure.events_per_year, 6),
    }


def _status(status: RowStatus, now: datetime) -> dict[str, Any]:
    age = status.age_seconds(now)
    return {
        "status": str(status.status),
        "reason": status.reason,
        "since": None if status.since is None else clock.iso(status.since),
        "evidence": status.evidence,
        "peer_class": status.peer_class or None,
        "effectiveness": round(status.effectiveness, 6),
        "age_seconds": None if age is None else round(age, 3),
    }


def _iso(moment: float) -> str:
    return clock.iso(datetime.fromtimestamp(moment, UTC))
