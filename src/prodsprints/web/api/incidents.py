"""Incidents over the API: a risk that happened, the drill that reproduces it, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from prodsprints import incidents
from prodsprints.ledger import people
from prodsprints.web import governing, watching
from prodsprints.web.api import governance_values as values
from prodsprints.web.api import status_values
from prodsprints.web.api.answers import CHANGES, READS, Here, Key, answered
from prodsprints.web.api.values import Page
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.site import Site

router = APIRouter(prefix="/incidents", tags=["incidents"])


@router.get("", responses=READS)
def list_incidents(
    here: Here,
    caller: Reading,
    environment: Annotated[str | None, Query(max_length=60)] = None,
    risk: Annotated[str | None, Query(max_length=60)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
) -> Page[values.Incident]:
    """The newest incidents first."""
    found = incidents.incidents(here.db, caller.tenant_id, environment=environment, risk=risk, limit=limit)
    return Page(items=_shown(here, caller, found))


@router.post("", status_code=201, response_model=values.Incident, responses=CHANGES)
def declare(body: values.NewIncident, here: Here, caller: Changing, key: Key = None) -> Response:
    """Say that a risk happened: its rows, or those named, are contradicted from now on."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        return _answer(here, caller, 201, governing.declare_incident(here, caller, **told, id=id))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "declare", told], perform))


@router.get("/{incident_id}", responses=READS)
def get_incident(incident_id: UUID, here: Here, caller: Reading) -> values.Incident:
    """One incident."""
    return _shown(here, caller, [incidents.get(here.db, caller.tenant_id, incident_id)])[0]


@router.post("/{incident_id}/link", response_model=values.Incident, responses=CHANGES)
def link(incident_id: UUID, body: values.NewLink, here: Here, caller: Changing, key: Key = None) -> Response:
    """Name the drill that reproduces it: once a changed one is held, it contradicts no longer."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        return _answer(here, caller, 200, governing.link_incident(here, caller, incident_id, **told, id=id))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "link", incident_id, told], perform))


@router.post("/{incident_id}/close", response_model=values.Incident, responses=CHANGES)
def close(incident_id: UUID, body: values.Closing, here: Here, caller: Changing, key: Key = None) -> Response:
    """Close it with what came of it. That lifts nothing: only a drill does."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        return _answer(here, caller, 200, governing.close_incident(here, caller, incident_id, **told, id=id))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "close", incident_id, told], perform))


@router.post("/{incident_id}/publish", response_model=status_values.PublicIncident, responses=CHANGES)
def publish(
    incident_id: UUID, body: status_values.NewUpdate, here: Here, caller: Changing, key: Key = None
) -> Response:
    """Tell everybody of it on the status page, or tell them more. Nothing else of the incident is shown there."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        made = watching.publish(here, caller, incident_id, **told, id=id)
        return Answer(200, status_values.PublicIncident.model_validate(made).model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "publish", incident_id, told], perform))


@router.post("/{incident_id}/withdraw", response_model=values.Incident, responses=CHANGES)
def withdraw(incident_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Take it off the status page, with all that was told of it."""

    def perform(_: UUID) -> Answer:
        watching.withdraw(here, caller, incident_id)
        return _answer(here, caller, 200, incidents.get(here.db, caller.tenant_id, incident_id))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "withdraw", incident_id], perform))


def _shown(here: Site, caller: Caller, found: Iterable[incidents.Incident]) -> list[values.Incident]:
    found = list(found)
    names = people.names(here.db, caller.tenant_id, {person for one in found for person in one.people})
    return [values.Incident.model_validate(one.as_json(names)) for one in found]


def _answer(here: Site, caller: Caller, status: int, incident: incidents.Incident) -> Answer:
    return Answer(status, _shown(here, caller, [incident])[0].model_dump(mode="json"))
