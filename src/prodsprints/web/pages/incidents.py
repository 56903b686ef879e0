"""The pages of incidents: what happened, what reproduces it, and what came of it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from prodsprints import incidents
from prodsprints.incidents import publishing
from prodsprints.ledger import people
from prodsprints.web import drill_list, governing, watching
from prodsprints.web.api.answers import Here
from prodsprints.web.api.register import HERE, Where
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import FormId, Trouble, Typed, act
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_UNPROCESSABLE = 422


@router.get("/incidents")
def listing(here: Here, caller: Reading) -> Response:
    """The newest incidents of every environment."""
    return page(
        "incidents.html",
        caller=caller,
        section="incidents",
        incidents=incidents.incidents(here.db, caller.tenant_id),
        known=here.assessor.standing(caller.tenant_id).incidents,
    )


@router.get("/incidents/new")
def new(
    here: Here,
    caller: Reading,
    risk: Annotated[str, Query(max_length=60)] = "",
    where: Where = HERE,
) -> Response:
    """The form by which one is declared."""
    return _form(here, caller, {"risk": risk, "environment": where})


@router.post("/incidents")
def declare(
    here: Here,
    caller: Changing,
    form: FormId,
    risk: Typed = "",
    rows: Annotated[tuple[str, ...], Form()] = (),
    environment: Typed = "",
    title: Typed = "",
    what_happened: Typed = "",
    security: Typed = "",
) -> Response:
    """Declare it; its page shows what it contradicts."""
    told = {"risk": risk, "environment": environment, "title": title, "what_happened": what_happened}

    def perform(id: UUID) -> str:
        made = governing.declare_incident(here, caller, **told, rows=rows, security=bool(security), id=id)
        return f"/incidents/{made.id}"

    came = act(here, caller, form, ["declare", told, rows, security], perform)
    if isinstance(came, Trouble):
        return _form(here, caller, told, rows, bool(security), came)
    return came


@router.get("/incidents/{incident_id}")
def incident(incident_id: UUID, here: Here, caller: Reading) -> Response:
    """One incident with all that was done about it."""
    return _page(here, caller, incident_id)


@router.post("/incidents/{incident_id}/link")
def link(incident_id: UUID, here: Here, caller: Changing, form: FormId, drill: Typed = "") -> Response:
    """Name the drill that reproduces it: a row and a variant."""
    row, _, variant = drill.partition(" ")

    def perform(id: UUID) -> str:
        governing.link_incident(here, caller, incident_id, row=row, variant=variant, id=id)
        return f"/incidents/{incident_id}#links"

    came = act(here, caller, form, ["link", str(incident_id), drill], perform)
    return _page(here, caller, incident_id, trouble=came) if isinstance(came, Trouble) else came


@router.post("/incidents/{incident_id}/close")
def close(incident_id: UUID, here: Here, caller: Changing, form: FormId, outcome: Typed = "") -> Response:
    """Close it with what came of it."""

    def perform(id: UUID) -> str:
        governing.close_incident(here, caller, incident_id, outcome=outcome, id=id)
        return f"/incidents/{incident_id}#outcome"

    came = act(here, caller, form, ["close", str(incident_id), outcome], perform)
    return _page(here, caller, incident_id, outcome, came) if isinstance(came, Trouble) else came


@router.post("/incidents/{incident_id}/publish")
def publish(
    incident_id: UUID,
    here: Here,
    caller: Changing,
    form: FormId,
    stage: Typed = "",
    words: Typed = "",
    title: Typed = "",
) -> Response:
    """Tell everybody of it on the status page, or tell them more."""
    told = {"stage": stage, "words": words, "title": title}

    def perform(id: UUID) -> str:
        watching.publish(here, caller, incident_id, stage=stage, words=words, title=title.strip() or None, id=id)
        return f"/incidents/{incident_id}#public"

    came = act(here, caller, form, ["publish", str(incident_id), told], perform)
    return _page(here, caller, incident_id, trouble=came, told=told) if isinstance(came, Trouble) else came


@router.post("/incidents/{incident_id}/withdraw")
def withdraw(incident_id: UUID, here: Here, caller: Changing, form: FormId) -> Response:
    """Take it off the status page."""

    def perform(_: UUID) -> str:
        watching.withdraw(here, caller, incident_id)
        return f"/incidents/{incident_id}#public"

    came = act(here, caller, form, ["withdraw", str(incident_id)], perform)
    return _page(here, caller, incident_id, trouble=came) if isinstance(came, Trouble) else came


def _page(
    here: Site,
    caller: Caller,
    id: UUID,
    outcome: str = "",
    trouble: Trouble | None = None,
    told: dict[str, str] | None = None,
) -> Response:
    found = incidents.get(here.db, caller.tenant_id, id)
    register = here.register_of(caller.tenant_id)
    risk = next((one for one in register.risks if one.id == found.risk), None)
    rows = risk.mitigations if risk else ()
    return page(
        "incident.html",
        caller=caller,
        section="incidents",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        form_id=uuid4(),
        incident=found,
        risk=risk,
        heard=here.assessor.standing(caller.tenant_id).incidents.get(str(id)),
        offered=[
            one for one in drill_list.offered(here, caller.tenant_id, found.environment, rows) if one.drill is not None
        ],
        outcome=outcome,
        public=publishing.told(here.db, caller.tenant_id, id),
        stages=publishing.STAGES,
        told=told or {"stage": "", "words": "", "title": ""},
        names=people.names(here.db, caller.tenant_id, found.people),
    )


def _form(
    here: Site,
    caller: Caller,
    told: dict[str, str],
    rows: tuple[str, ...] = (),
    security: bool = False,
    trouble: Trouble | None = None,
) -> Response:
    register = here.register_of(caller.tenant_id)
    return page(
        "incident_new.html",
        caller=caller,
        section="incidents",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        form_id=uuid4(),
        told={"title": "", "what_happened": "", **told},
        risk=next((one for one in register.risks if one.id == told["risk"]), None),
        risks=register.risks,
        chosen=rows,
        security=security,
        places=drill_list.environments(here, caller.tenant_id),
    )
