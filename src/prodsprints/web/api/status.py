"""The status page over the API, which needs no login; and the services that are watched, which does."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from prodsprints.controls.integrations import services
from prodsprints.web import watching
from prodsprints.web.api import status_values as values
from prodsprints.web.api.answers import CHANGES, READS, Here, Key, answered
from prodsprints.web.api.values import Page
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Changing, Reading
from prodsprints.web.public import as_public, public_page
from prodsprints.web.site import Site

router = APIRouter(tags=["status"])

TenantName = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,39}$")]


@router.get("/status", response_model=values.Status, responses=READS)
def get_status(request: Request, here: Here) -> Response:
    """What anybody may read: the services that are marked public, their last 90 days, outages, published incidents."""
    return _status(request, here, None)


@router.get("/status/{tenant}", response_model=values.Status, responses=READS)
def get_status_of(tenant: TenantName, request: Request, here: Here) -> Response:
    """The same of another tenant, if it has anything public."""
    return _status(request, here, tenant)


@router.get("/services", responses=READS)
def list_services(here: Here, caller: Reading) -> Page[values.Service]:
    """Every service that is watched, public or not."""
    return Page(items=[values.Service.of(one) for one in services.services(here.db, caller.tenant_id)])


@router.post("/services", status_code=201, response_model=values.Service, responses=CHANGES)
def watch(body: values.NewService, here: Here, caller: Changing, key: Key = None) -> Response:
    """Watch a service: its address is asked several times in an interval, from the platform."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        return _answer(201, watching.watch(here, caller, **told, id=id))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "watch", told], perform))


@router.delete("/services/{service_id}", response_model=values.Service, responses=CHANGES)
def unwatch(service_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Watch it no longer, and forget its history."""

    def perform(_: UUID) -> Answer:
        return _answer(200, watching.unwatch(here, caller, service_id))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "unwatch", service_id], perform))


@router.post("/services/{service_id}/show", response_model=values.Service, responses=CHANGES)
def show(service_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Put it on the public status page."""

    def perform(_: UUID) -> Answer:
        return _answer(200, watching.show(here, caller, service_id, publicly=True))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "show", service_id], perform))


@router.post("/services/{service_id}/hide", response_model=values.Service, responses=CHANGES)
def hide(service_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Take it off the public status page; it is watched as before."""

    def perform(_: UUID) -> Answer:
        return _answer(200, watching.show(here, caller, service_id, publicly=False))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "hide", service_id], perform))


def _status(request: Request, here: Site, tenant: str | None) -> Response:
    found, _ = public_page(here, tenant)
    body = values.Status.model_validate(found.as_json()).model_dump_json().encode()
    return as_public(request, body, "application/json")


def _answer(status: int, service: services.Service) -> Answer:
    return Answer(status, values.Service.of(service).model_dump(mode="json"))
