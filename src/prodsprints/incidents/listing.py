"""Incidents as they are read: the words from their tables, joined to the statements that make them count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from prodsprints.incidents.errors import UnknownIncidentError
from prodsprints.incidents.records import Action, Incident
from prodsprints.incidents.statements import statement_of
from prodsprints.store.database import Connection, Database, patient

_INCIDENT = """
select id, environment, risk_id as risk, row_ids as rows, title, what_happened, security, created_at from incidents
"""


@patient
def incidents(
    db: Database, tenant_id: UUID, *, environment: str | None = None, risk: str | None = None, limit: int = 200
) -> list[Incident]:
    """The newest incidents first."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            _INCIDENT
            + """
            where (%(environment)s::text is null or environment = %(environment)s)
              and (%(risk)s::text is null or risk_id = %(risk)s)
            order by created_at desc limit %(limit)s
            """,
            {"environment": environment, "risk": risk, "limit": limit},
        ).fetchall()
        return _with_actions(connection, tenant_id, rows)


@patient
def get(db: Database, tenant_id: UUID, incident_id: UUID) -> Incident:
    """One incident. Raises UnknownIncidentError."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(_INCIDENT + "where id = %s", [incident_id]).fetchall()
        found = _with_actions(connection, tenant_id, rows)
    if not found:
        raise UnknownIncidentError(
            f"There is no incident {incident_id}.", next_step="`prodsprints incident list` shows them."
        )
    return found[0]


def _with_actions(connection: Connection, tenant_id: UUID, rows: Sequence[dict[str, Any]]) -> list[Incident]:
    found = {row["id"]: Incident(**{**row, "rows": tuple(row["rows"])}) for row in rows}
    actions = connection.execute(
        """
        select a.incident_id, a.id, a.action, a.person::text as person, a.created_at, a.row_id as row, a.variant,
               a.outcome, a.statement,
               exists (select from ledger_statements s where s.digest = decode(a.statement, 'hex')) as is_signed
        from incident_actions a where a.incident_id = any(%s) order by a.created_at, a.id
        """,
        [list(found)],
    ).fetchall()
    for row in actions:
        incident = found[row.pop("incident_id")]
        digest = row.pop("statement")
        action = Action(**row)
        if statement_of(tenant_id, incident, action).digest != digest:
            action = replace(action, is_signed=False)
        found[incident.id] = replace(incident, actions=(*incident.actions, action))
    return list(found.values())
