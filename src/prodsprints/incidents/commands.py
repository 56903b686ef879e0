"""What people do with an incident: declare it, link the drill that reproduces it, close it with an outcome."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from prodsprints.incidents import listing, typed
from prodsprints.incidents.errors import IncidentClosedError, IncidentInputError
from prodsprints.incidents.records import Action, Incident, Kind
from prodsprints.incidents.statements import statement_of
from prodsprints.kernel import clock
from prodsprints.kernel.validation import nearest
from prodsprints.ledger import people
from prodsprints.ledger.log import Ledger
from prodsprints.notify import outbox
from prodsprints.notify.message import Message
from prodsprints.store.database import Database

_LONGEST_TELLING = 4_000
_LONGEST_OUTCOME = 2_000


def declare(
    db: Database,
    ledger: Ledger,
    *,
    id: UUID,
    known: Mapping[str, Collection[str]],
    risk: str,
    rows: Collection[str] = (),
    environment: str,
    title: str,
    what_happened: str,
    actor: str,
    security: bool = False,
) -> Incident:
    """Say that `risk` happened in `environment`: from now on its rows (or only `rows`) are contradicted there.

    `known` are the rows of each risk of the register. Raises UsageError for what cannot be meant.
    """
    _refuse_unknown(known, risk, rows)
    now = clock.now()
    incident = Incident(
        id=id,
        environment=typed.environment(environment),
        risk=risk,
        rows=tuple(sorted(set(rows))),
        title=typed.line(title, "title"),
        what_happened=typed.paragraphs(what_happened, "account of what happened", _LONGEST_TELLING),
        security=security,
        created_at=now,
    )
    action = Action(id, "declared", people.reference(db, ledger.tenant_id, actor), now)
    with db.tenant(ledger.tenant_id) as connection:
        connection.execute(
            """
            insert into incidents (id, environment, risk_id, row_ids, title, what_happened, security)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            [
                id,
                incident.environment,
                risk,
                list(incident.rows),
                incident.title,
                incident.what_happened,
                security,
            ],
        )
    _act(db, ledger, incident, action)
    return listing.get(db, ledger.tenant_id, id)


def link(
    db: Database,
    ledger: Ledger,
    incident_id: UUID,
    *,
    id: UUID,
    row: str,
    variant: str,
    known: Mapping[str, Collection[str]],
    actor: str,
) -> Incident:
    """Name the drill that reproduces the incident: once a changed one is held, it contradicts no longer.

    `known` are the variants of each row's drills.
    """
    incident = listing.get(db, ledger.tenant_id, incident_id)
    if row.partition(".")[0] != incident.risk:
        raise IncidentInputError(
            f"{row[:60]!r} is no row of {incident.risk}, which the incident belongs to.",
            next_step=f"`prodsprints register show {incident.risk}` lists its rows.",
        )
    if variant not in known.get(row, ()):
        there = ", ".join(sorted(known.get(row, ())))
        hint = nearest(variant, known.get(row, ())) or (f"; there are {there}." if there else "; it has none yet.")
        raise IncidentInputError(
            f"No drill of {row} is called {variant[:60]!r}{hint}",
            next_step="`prodsprints drill list` shows them; `prodsprints drill new` begins another.",
        )
    _act(db, ledger, incident, _action(db, ledger, id, "linked", actor, row=row, variant=variant))
    return listing.get(db, ledger.tenant_id, incident_id)


def close(db: Database, ledger: Ledger, incident_id: UUID, *, id: UUID, outcome: str, actor: str) -> Incident:
    """Close the incident with what came of it. Raises IncidentClosedError when that was done before."""
    incident = listing.get(db, ledger.tenant_id, incident_id)
    if incident.closing is not None:
        raise IncidentClosedError(
            f"The incident {incident.title!r} was closed on {incident.closing.created_at.date()}.",
            next_step="Declare another one if it happened again.",
        )
    words = typed.paragraphs(outcome, "outcome", _LONGEST_OUTCOME)
    _act(db, ledger, incident, _action(db, ledger, id, "closed", actor, outcome=words))
    return listing.get(db, ledger.tenant_id, incident_id)


def _refuse_unknown(known: Mapping[str, Collection[str]], risk: str, rows: Collection[str]) -> None:
    if risk not in known:
        raise IncidentInputError(
            f"There is no risk {risk[:60]!r} in the register{nearest(risk, known) or '.'}",
            next_step="`prodsprints register` lists them; report a new one if none fits.",
        )
    for row in rows:
        if row not in known[risk]:
            raise IncidentInputError(
                f"{row[:60]!r} is no row of {risk}{nearest(row, known[risk]) or '.'}",
                next_step=f"`prodsprints register show {risk}` lists its rows; leave them out to mean all.",
            )


def _action(
    db: Database,
    ledger: Ledger,
    id: UUID,
    kind: Kind,
    actor: str,
    *,
    row: str | None = None,
    variant: str | None = None,
    outcome: str | None = None,
) -> Action:
    return Action(id, kind, people.reference(db, ledger.tenant_id, actor), clock.now(), row, variant, outcome)


def _act(db: Database, ledger: Ledger, incident: Incident, action: Action) -> None:
    # The words first: a statement whose words nobody can read would count, and could not be explained.
    statement = statement_of(ledger.tenant_id, incident, action)
    with db.tenant(ledger.tenant_id) as connection:
        connection.execute(
            """
            insert into incident_actions (id, incident_id, action, person, row_id, variant, outcome, statement)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                action.id,
                incident.id,
                action.action,
                action.person,
                action.row,
                action.variant,
                action.outcome,
                statement.digest,
            ],
        )
        if action.action == "declared":
            outbox.put(connection, _told(incident), requested_by="incident")
    ledger.append(statement)


def _told(incident: Incident) -> Message:
    what = f"{incident.risk} happened in {incident.environment}: {incident.title}"
    body = f"{incident.what_happened}\n\nIncident {incident.id}."
    return Message.about("#security" if incident.security else "#ops", "critical", what, body)
