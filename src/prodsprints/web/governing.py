"""What a caller may do to the register: the one set of functions behind the API and the page's buttons."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import psycopg

from prodsprints import incidents
from prodsprints.incidents import Incident, typed
from prodsprints.register import acceptances, attestations, contacts, documents, escalation, reviews
from prodsprints.register.acceptances import Acceptance
from prodsprints.register.attestations import Attestation
from prodsprints.register.contacts import Contact, StartedTest
from prodsprints.register.documents import Imported
from prodsprints.register.escalation import Report
from prodsprints.register.model import Cadence
from prodsprints.register.reviews import Recorded
from prodsprints.store import workers
from prodsprints.web import drill_list, registers
from prodsprints.web.errors import SaidBeforeError
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.03
_SETTLE_SECONDS = 1.0


def import_document(here: Site, caller: Caller, markdown: str | bytes, *, id: UUID) -> Imported:
    """Make a risk document the tenant's register. Raises RegisterError, with lines."""
    with _once(id):
        came = documents.import_document(
            here.db, here.ledger(caller.tenant_id), id=id, markdown=markdown, actor=caller.actor
        )
    _log.info("%s imported version %s of the risk document", caller.actor, came.version)
    return came


def attest(
    here: Site, caller: Caller, *, row: str, environment: str, evidence: str, expires_at: datetime, id: UUID
) -> Attestation:
    """Sign that a row is held. Raises UnknownRiskError, AttestationError, UsageError."""
    with _said_once(here, caller, id):
        return attestations.attest(
            here.db,
            here.ledger(caller.tenant_id),
            id=id,
            register=here.register_of(caller.tenant_id),
            environment=environment,
            row=row,
            evidence=evidence,
            expires_at=expires_at,
            actor=caller.actor,
        )


def accept(
    here: Site, caller: Caller, *, risk: str, environment: str, reason: str, expires_at: datetime, id: UUID
) -> Acceptance:
    """Sign that a risk is borne as it is. Raises UnknownRiskError, UsageError."""
    with _said_once(here, caller, id):
        return acceptances.accept(
            here.db,
            here.ledger(caller.tenant_id),
            id=id,
            register=here.register_of(caller.tenant_id),
            environment=environment,
            risk=risk,
            reason=reason,
            expires_at=expires_at,
            actor=caller.actor,
        )


def declare_incident(
    here: Site,
    caller: Caller,
    *,
    risk: str,
    rows: Sequence[str],
    environment: str,
    title: str,
    what_happened: str,
    security: bool,
    id: UUID,
) -> Incident:
    """Say that a risk happened. Raises IncidentInputError, UsageError."""
    with _said_once(here, caller, id):
        return incidents.declare(
            here.db,
            here.ledger(caller.tenant_id),
            id=id,
            known={one.id: [row.id for row in one.mitigations] for one in here.register_of(caller.tenant_id).risks},
            risk=risk,
            rows=rows,
            environment=environment,
            title=title,
            what_happened=what_happened,
            security=security,
            actor=caller.actor,
        )


def link_incident(here: Site, caller: Caller, incident_id: UUID, *, row: str, variant: str, id: UUID) -> Incident:
    """Name the drill that reproduces an incident. Raises UnknownIncidentError, IncidentInputError."""
    found = incidents.get(here.db, caller.tenant_id, incident_id)
    rows = [
        row for risk in here.register_of(caller.tenant_id).risks if risk.id == found.risk for row in risk.mitigations
    ]
    known: dict[str, list[str]] = {}
    for one in drill_list.offered(here, caller.tenant_id, found.environment, rows):
        if one.drill is not None:
            known.setdefault(one.row, []).append(one.drill.experiment.variant)
    with _said_once(here, caller, id):
        return incidents.link(
            here.db,
            here.ledger(caller.tenant_id),
            incident_id,
            id=id,
            row=row,
            variant=variant,
            known=known,
            actor=caller.actor,
        )


def close_incident(here: Site, caller: Caller, incident_id: UUID, *, outcome: str, id: UUID) -> Incident:
    """Close an incident. Raises UnknownIncidentError, IncidentClosedError, UsageError."""
    with _said_once(here, caller, id):
        return incidents.close(
            here.db, here.ledger(caller.tenant_id), incident_id, id=id, outcome=outcome, actor=caller.actor
        )


def record_review(
    here: Site, caller: Caller, *, kind: Cadence, environment: str, attendees: str, decisions: str, id: UUID
) -> Recorded:
    """Record that a review was held, with its agenda as it stands in `environment` now. Raises UsageError."""
    shown = registers.of(here, caller.tenant_id, typed.environment(environment))
    with _said_once(here, caller, id):
        return reviews.record(
            here.db,
            here.ledger(caller.tenant_id),
            id=id,
            kind=kind,
            due=shown.planned(kind).due,
            attendees=attendees,
            decisions=decisions,
            agenda=registers.agenda(here, caller.tenant_id, shown, kind),
            actor=caller.actor,
        )


def report_risk(here: Site, caller: Caller, *, title: str, description: str, id: UUID) -> Report:
    """Report a risk that the register does not know for what it is. Raises UsageError."""
    with _once(id):
        return escalation.report(
            here.db, caller.tenant_id, id=id, title=title, description=description, actor=caller.actor
        )


def advance_report(here: Site, caller: Caller, report_id: UUID, *, stage: str, note: str) -> Report:
    """Say that the next stage of a report is done. Raises UnknownReportError, StageError, UsageError."""
    return escalation.advance(here.db, caller.tenant_id, report_id, stage=stage, note=note, actor=caller.actor)


def set_contact(here: Site, caller: Caller, role: str, *, name: str, reach: str) -> Contact:
    """Set who is reached where. Raises UnknownRoleError, UsageError."""
    _note(here, caller, "set contact", role)
    return contacts.put(here.db, caller.tenant_id, role=role, name=name, reach=reach)


def remove_contact(here: Site, caller: Caller, role: str) -> None:
    """Forget the contact of a role. Raises UnknownRoleError."""
    _note(here, caller, "remove contact", role)
    contacts.remove(here.db, caller.tenant_id, role)


def test_contact(here: Site, caller: Caller, role: str) -> StartedTest:
    """Begin a test of a contact. Raises UnknownRoleError, ContactTestError."""
    _note(here, caller, "test contact", role)
    return contacts.start_test(here.db, caller.tenant_id, role)


def confirm_contact(here: Site, caller: Caller, role: str, code: str) -> Contact:
    """The contact read the code back. Raises UnknownRoleError, ContactTestError."""
    _note(here, caller, "confirm contact", role)
    return contacts.finish_test(here.db, caller.tenant_id, role, code)


@contextmanager
def _said_once(here: Site, caller: Caller, nonce: UUID) -> Iterator[None]:
    """Afterwards a moment is waited for the log to have it, so that whoever looks next sees it."""
    with _once(nonce):
        yield
    deadline = time.monotonic() + (_SETTLE_SECONDS if workers.alive(here.db) else 0.0)
    while time.monotonic() < deadline and str(nonce) not in here.assessor.standing(caller.tenant_id).nonces:
        time.sleep(_LOOK_SECONDS)


@contextmanager
def _once(id: UUID) -> Iterator[None]:
    """A request that died halfway and is sent again meets what it wrote: that says nothing by itself."""
    try:
        yield
    except psycopg.errors.UniqueViolation:
        raise SaidBeforeError(
            "This was said before, and that request did not come to its end.",
            why=f"Something is written down as {id}; it counts only if it is signed, too.",
            next_step="Look whether it is there. If it is not, or not signed, say it again as something new.",
        ) from None


def _note(here: Site, caller: Caller, action: str, role: str) -> None:
    """Contacts leave no statement of their own in the log, and are no small thing to change."""
    if role in contacts.ROLES:
        here.audit(caller.tenant_id).record(caller.actor, action, f"contact {role}")
