"""What /v1 answers about a register, for a double of the platform: ours, with a ledger that nothing was said in."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from prodsprints.register import documents, export, gate, reviews
from prodsprints.register.assessment import Log, LogState, assess
from prodsprints.register.markdown import render
from prodsprints.register.standing import Standing

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
INCIDENT: dict[str, Any] = {
    "id": "3f0c0000-0000-4000-8000-000000000001",
    "environment": "demo",
    "risk": "R001",
    "rows": [],
    "title": "Throttled for an hour",
    "what_happened": "All deployments stood still.",
    "security": False,
    "declared_at": "2026-11-23T12:00:00.000Z",
    "declared_by": "ada",
    "is_signed": True,
    "links": [],
    "closed_at": None,
    "closed_by": None,
    "outcome": None,
}
IMPORTED = {
    "version": 1,
    "sha256": "0" * 64,
    "risks": 24,
    "mitigations": 117,
    "claimed": 116,
    "joined": 117,
    "warnings": ["line 7: claims nothing; read as planned."],
}


@cache
def answers() -> dict[tuple[str, str], tuple[int, Any]]:
    """By method and path, as `conftest.Double` knows its answers."""
    source = documents.our_source()
    now = assess(source.register, Standing("t"), {}, "demo", NOW, Log(LogState.VERIFIED))
    late = reviews.overdue(source.register.document, {}, NOW.date())
    schedule = [planned.as_json(NOW.date()) for planned in reviews.schedule(source.register.document, {})]
    whole = export.as_json(source.register, today=NOW.date(), assessment=now, overdue=late)
    incident = f"/v1/incidents/{INCIDENT['id']}"
    return {
        ("GET", "/v1/register"): (200, whole),
        ("GET", "/v1/register/risks/R001"): (200, export.risk_as_json(source.register.risk("R001"), now)),
        ("GET", "/v1/register/gate"): (200, gate.check(now, source.register, late).as_json()),
        ("GET", "/v1/register/export"): (200, render(source.document, source.register.risks, now)),
        ("POST", "/v1/register/import"): (201, IMPORTED),
        ("GET", "/v1/reviews"): (200, {"schedule": schedule, "agenda": [], "items": []}),
        ("GET", "/v1/incidents"): (200, {"items": [INCIDENT], "next": None}),
        ("POST", "/v1/incidents"): (201, INCIDENT),
        ("POST", f"{incident}/link"): (200, INCIDENT),
        ("POST", f"{incident}/close"): (200, INCIDENT | {"closed_at": "2026-11-23T13:00:00.000Z"}),
    }
