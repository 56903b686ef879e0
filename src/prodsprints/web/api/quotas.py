"""Quotas over the API: use against limit, the day it is reached, and the request to raise it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from prodsprints.controls.providers.quotas.forecast import Sample
from prodsprints.kernel import clock
from prodsprints.web import quota_book
from prodsprints.web.api import quota_values as values
from prodsprints.web.api.answers import CHANGES, DRAWING, READS, Here, Key, answered, drawing
from prodsprints.web.api.values import Page
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Changing, Reading
from prodsprints.web.quota_chart import quota_chart

router = APIRouter(tags=["quotas"])


@router.get("/quotas", responses=READS)
def list_quotas(
    here: Here, caller: Reading, provider: Annotated[str | None, Query(max_length=40)] = None
) -> Page[values.Quota]:
    """Every quota, the one whose limit is nearest first."""
    found = quota_book.standings(here, caller, provider)
    return Page(items=[values.Quota.model_validate(one.as_json()) for one in found])


@router.post("/quotas", status_code=201, response_model=values.Quota, responses=CHANGES)
def follow_quota(body: values.NewQuota, here: Here, caller: Changing, key: Key = None) -> Response:
    """Keep book of a quota; of one that is known already, with what is given now."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        return _quota(quota_book.follow(here, caller, **told, id=id), 201)

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "follow", told], perform))


@router.get("/quotas/{quota_id}", responses=READS)
def get_quota(quota_id: UUID, here: Here, caller: Reading) -> values.WholeQuota:
    """One quota with its days and its requests."""
    found = quota_book.shown(here, caller, quota_id)
    return values.WholeQuota.model_validate(
        {
            **found.standing.as_json(),
            "days": [{"day": one.day.isoformat(), "used": one.used, "limit": one.limit} for one in found.days],
            "requests": [quota_book.request_as_json(one) for one in found.requests],
        }
    )


@router.delete("/quotas/{quota_id}", responses=CHANGES)
def forget_quota(quota_id: UUID, here: Here, caller: Changing) -> values.Forgotten:
    """Follow it no longer; its history and its requests are forgotten."""
    quota_book.forget(here, caller, quota_id)
    return values.Forgotten(id=quota_id)


@router.get("/quotas/{quota_id}/chart.svg", response_class=Response, responses=READS | DRAWING)
def get_chart(quota_id: UUID, here: Here, caller: Reading) -> Response:
    """Use, limit and what is foreseen, as an image of its own."""
    return drawing(quota_chart(quota_book.shown(here, caller, quota_id)))


@router.post("/quotas/{quota_id}/limit", response_model=values.Quota, responses=CHANGES)
def set_limit(quota_id: UUID, body: values.NewLimit, here: Here, caller: Changing, key: Key = None) -> Response:
    """Set the limit by hand."""

    def perform(_: UUID) -> Answer:
        return _quota(quota_book.set_limit(here, caller, quota_id, body.limit))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "limit", quota_id, body.limit], perform))


@router.post("/quotas/{quota_id}/use", response_model=values.Quota, responses=CHANGES)
def measure(quota_id: UUID, body: values.Measurements, here: Here, caller: Changing, key: Key = None) -> Response:
    """Tell how much was used when; what was told before counts once."""
    now = clock.now()
    samples = [Sample(one.at or now, one.used) for one in body.samples]

    def perform(_: UUID) -> Answer:
        return _quota(quota_book.measure(here, caller, quota_id, samples))

    told = body.model_dump(mode="json")
    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "use", quota_id, told], perform))


@router.post("/quotas/{quota_id}/draft", response_model=values.QuotaRequest, responses=CHANGES)
def draft(quota_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Draft the request to raise it, due or not; nothing is sent."""

    def perform(_: UUID) -> Answer:
        return Answer(200, quota_book.request_as_json(quota_book.draft(here, caller, quota_id)))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "draft quota", quota_id], perform))


@router.post("/quota-requests/{request_id}/send", response_model=values.QuotaRequest, responses=CHANGES)
def send(request_id: UUID, body: values.Sending, here: Here, caller: Changing, key: Key = None) -> Response:
    """Send a draft, having seen what it asks for: refused if it asks for something else by now, or was sent."""

    def perform(_: UUID) -> Answer:
        return Answer(200, quota_book.request_as_json(quota_book.send(here, caller, request_id, body.desired)))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "send", request_id, body.desired], perform))


@router.post("/quota-requests/{request_id}/drop", response_model=values.QuotaRequest, responses=CHANGES)
def drop(request_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Do not send a draft; for a week none is made anew."""

    def perform(_: UUID) -> Answer:
        return Answer(200, quota_book.request_as_json(quota_book.drop(here, caller, request_id)))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "drop", request_id], perform))


def _quota(found: quota_book.Standing, status: int = 200) -> Answer:
    return Answer(status, values.Quota.model_validate(found.as_json()).model_dump(mode="json"))
