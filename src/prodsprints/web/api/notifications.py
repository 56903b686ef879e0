"""Notifications over the API: telling an audience something, and what became of it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from prodsprints.notify import outbox
from prodsprints.notify.outbox import State
from prodsprints.web import cursors, notifying
from prodsprints.web.api import notify_values as values
from prodsprints.web.api.answers import CHANGES, READS, Here, Key, answered
from prodsprints.web.api.values import Page
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Changing, Reading

router = APIRouter(tags=["notifications"])


@router.get("/notifications", responses=READS)
def list_notifications(
    here: Here,
    caller: Reading,
    state: State | None = None,
    audience: Annotated[str | None, Query(max_length=60)] = None,
    cursor: Annotated[str | None, Query(max_length=cursors.LONGEST)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[values.Notification]:
    """The newest notifications first."""
    before = cursors.decode(cursor) if cursor is not None else None
    found = outbox.notifications(
        here.db, caller.tenant_id, state=state, audience=audience, before=before, limit=limit + 1
    )
    items = [values.Notification.model_validate(one.as_json()) for one in found[:limit]]
    return Page(items=items, next=cursors.encode(found[limit - 1].position) if len(found) > limit else None)


@router.post("/notifications", status_code=201, response_model=values.Notification, responses=CHANGES)
def send(body: values.NewNotification, here: Here, caller: Changing, key: Key = None) -> Response:
    """Tell an audience something: it is in the outbox when this is answered, and goes out from there."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        return Answer(201, _shown(notifying.send(here, caller, **told, id=id).as_json()))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "notify", told], perform))


@router.get("/notifications/{notification_id}", responses=READS)
def get_notification(notification_id: UUID, here: Here, caller: Reading) -> values.NotificationInFull:
    """One notification with everything that was tried for it."""
    found = outbox.get(here.db, caller.tenant_id, notification_id)
    tried = outbox.attempts(here.db, caller.tenant_id, notification_id)
    return values.NotificationInFull.model_validate({**found.as_json(), "attempts": [one.as_json() for one in tried]})


@router.post("/notifications/{notification_id}/again", response_model=values.Notification, responses=CHANGES)
def send_again(notification_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Let a notification that nothing delivered go out again, by all of its channels."""

    def perform(_: UUID) -> Answer:
        return Answer(200, _shown(notifying.send_again(here, caller, notification_id).as_json()))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "notify again", notification_id], perform))


@router.get("/notification-audiences", responses=READS)
def list_audiences(here: Here, caller: Reading) -> Page[values.Audience]:  # noqa: ARG001 - who may read may read this
    """Who can be told something, and by which channels, in order."""
    known = here.routes.audiences()
    return Page(items=[values.Audience(audience=name, channels=list(known[name])) for name in sorted(known)])


def _shown(told: dict[str, Any]) -> dict[str, Any]:
    return values.Notification.model_validate(told).model_dump(mode="json")
