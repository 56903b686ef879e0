"""Reviews, reports, indicators and emergency contacts over the API."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from prodsprints.kernel import clock
from prodsprints.ledger import people
from prodsprints.register import contacts, escalation, reviews
from prodsprints.register.model import Cadence
from prodsprints.web import contact_list, governing, registers
from prodsprints.web.api import governance_values as values
from prodsprints.web.api.answers import CHANGES, READS, Here, Key, answered
from prodsprints.web.api.register import HERE, Where
from prodsprints.web.api.values import Page
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.site import Site

router = APIRouter(tags=["governance"])

_Role = Annotated[str, Path(max_length=40, description=", ".join(f"`{role}`" for role in contacts.ROLES))]


# --- reviews


@router.get("/reviews", responses=READS)
def list_reviews(
    here: Here, caller: Reading, where: Where = HERE, limit: Annotated[int, Query(ge=1, le=200)] = 100
) -> values.Reviews:
    """When each review is due, what the next one has to look at, and what was decided; the newest first."""
    shown = registers.of(here, caller.tenant_id, where)
    today = clock.now().date()
    found = reviews.reviews(here.db, caller.tenant_id, limit=limit)
    names = people.names(here.db, caller.tenant_id, {one.person for one in found})
    return values.Reviews(
        schedule=[values.Planned.model_validate(one.as_json(today)) for one in shown.schedule],
        agenda=_points(here, caller, shown, shown.next_review.kind),
        items=[values.Review.model_validate(one.as_json(names)) for one in found],
    )


@router.get("/reviews/agenda", responses=READS)
def get_agenda(here: Here, caller: Reading, kind: Cadence, where: Where = HERE) -> values.Agenda:
    """What a review of that kind would have to look at now."""
    shown = registers.of(here, caller.tenant_id, where)
    return values.Agenda(kind=kind, due=shown.planned(kind).due, points=_points(here, caller, shown, kind))


@router.post("/reviews", status_code=201, response_model=values.Review, responses=CHANGES)
def record_review(body: values.NewReview, here: Here, caller: Changing, key: Key = None) -> Response:
    """Record that a review was held and what was decided; the next one is due from today."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        held = governing.record_review(here, caller, **told, id=id)
        shown = values.Review.model_validate(held.as_json({held.person: caller.actor}))
        return Answer(201, shown.model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "review", told], perform))


# --- reports


@router.get("/reports", responses=READS)
def list_reports(here: Here, caller: Reading) -> Page[values.Report]:
    """The newest reports first, each with the stage that it waits for and until when."""
    return Page(items=_reports(here, caller, escalation.reports(here.db, caller.tenant_id)))


@router.post("/reports", status_code=201, response_model=values.Report, responses=CHANGES)
def report_risk(body: values.NewReport, here: Here, caller: Changing, key: Key = None) -> Response:
    """Report a risk that is not in the register, or not seen there for what it is."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        made = governing.report_risk(here, caller, **told, id=id)
        return Answer(201, _reports(here, caller, [made])[0].model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "report", told], perform))


@router.get("/reports/{report_id}", responses=READS)
def get_report(report_id: UUID, here: Here, caller: Reading) -> values.Report:
    """One report with its stages."""
    return _reports(here, caller, [escalation.get(here.db, caller.tenant_id, report_id)])[0]


@router.post("/reports/{report_id}/advance", response_model=values.Report, responses=CHANGES)
def advance_report(report_id: UUID, body: values.Advance, here: Here, caller: Changing, key: Key = None) -> Response:
    """Say that the stage which it waits for is done."""
    told = body.model_dump()

    def perform(_: UUID) -> Answer:
        advanced = governing.advance_report(here, caller, report_id, **told)
        return Answer(200, _reports(here, caller, [advanced])[0].model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "advance", report_id, told], perform))


# --- indicators


@router.get("/indicators", responses=READS)
def list_indicators(here: Here, caller: Reading, where: Where = HERE) -> Page[values.Indicator]:
    """Every key risk indicator over the last 30 days, with its days."""
    shown = registers.of(here, caller.tenant_id, where)
    found = registers.indicators(here, caller.tenant_id, shown)
    return Page(items=[values.Indicator.model_validate(one.as_json()) for one in found])


# --- contacts. What changes one takes no Idempotency-Key: it can be sent again anyway, and a code is not to be kept.


@router.get("/contacts", responses=READS)
def list_contacts(here: Here, caller: Reading) -> Page[values.Contact]:
    """Every role, and who is called for it; without a login not by name."""
    return Page(items=[_contact(one) for one in contact_list.shown(here, caller)])


@router.get("/contacts/{role}", responses=READS)
def get_contact(role: _Role, here: Here, caller: Reading) -> values.Contact:
    """One role's contact."""
    return _contact(contact_list.one(here, caller, role))


@router.put("/contacts/{role}", responses=CHANGES)
def set_contact(role: _Role, body: values.NewContact, here: Here, caller: Changing) -> values.Contact:
    """Set who is reached where. Another name or address is as good as untested."""
    governing.set_contact(here, caller, role, **body.model_dump())
    return _contact(contact_list.one(here, caller, role))


@router.delete("/contacts/{role}", responses=CHANGES)
def remove_contact(role: _Role, here: Here, caller: Changing) -> values.Contact:
    """Forget the contact of a role; the role stays, and is overdue."""
    governing.remove_contact(here, caller, role)
    return _contact(contact_list.one(here, caller, role))


@router.post("/contacts/{role}/test", status_code=201, responses=CHANGES)
def test_contact(role: _Role, here: Here, caller: Changing) -> values.ContactTest:
    """Begin a test: send the code to the contact by the address that is kept here."""
    return values.ContactTest.model_validate(governing.test_contact(here, caller, role))


@router.post("/contacts/{role}/confirm", responses=CHANGES)
def confirm_contact(role: _Role, body: values.Code, here: Here, caller: Changing) -> values.Contact:
    """The contact read the code back: reachable, as of now."""
    governing.confirm_contact(here, caller, role, body.code)
    return _contact(contact_list.one(here, caller, role))


def _points(here: Site, caller: Caller, shown: registers.Shown, kind: Cadence) -> list[values.Point]:
    return [values.Point.model_validate(one) for one in registers.agenda(here, caller.tenant_id, shown, kind).points]


def _reports(here: Site, caller: Caller, found: list[escalation.Report]) -> list[values.Report]:
    names = people.names(here.db, caller.tenant_id, {step.person for one in found for step in one.steps})
    now = clock.now()
    return [values.Report.model_validate(one.as_json(names, now)) for one in found]


def _contact(one: contact_list.Shown) -> values.Contact:
    return values.Contact.model_validate(one)
