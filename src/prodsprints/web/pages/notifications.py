"""The pages of notifications: what was told to whom, by which channel, and what nothing delivered."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query
from starlette.responses import Response

from prodsprints.kernel.errors import UsageError
from prodsprints.notify import outbox
from prodsprints.notify.message import LONGEST_BODY, SEVERITIES
from prodsprints.notify.outbox import STATES, State
from prodsprints.web import cursors, notifying
from prodsprints.web.api.answers import Here
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import FormId, Trouble, Typed, act
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_PER_PAGE = 50
_UNPROCESSABLE = 422


@router.get("/notifications")
def notifications(
    here: Here,
    caller: Reading,
    state: State | None = None,
    cursor: Annotated[str | None, Query(max_length=cursors.LONGEST)] = None,
) -> Response:
    """The newest notifications, those of one state if one is named."""
    return _list(here, caller, state, cursor)


@router.post("/notifications")
def send(
    here: Here, caller: Changing, form: FormId, audience: Typed = "", text: Typed = "", severity: Typed = "info"
) -> Response:
    """Tell an audience something; its page shows what becomes of it."""
    told = {"audience": audience, "text": text, "severity": severity}

    def perform(id: UUID) -> str:
        return f"/notifications/{notifying.send(here, caller, **told, id=id).id}"  # type: ignore[arg-type]

    came = act(here, caller, form, ["notify", told], perform)
    return _list(here, caller, typed=told, trouble=came) if isinstance(came, Trouble) else came


@router.get("/notifications/{notification_id}")
def notification(notification_id: UUID, here: Here, caller: Reading) -> Response:
    """One notification, with every channel that was asked to take it."""
    return _page(here, caller, notification_id)


@router.post("/notifications/{notification_id}/again")
def again(notification_id: UUID, here: Here, caller: Changing, form: FormId) -> Response:
    """Let a dead one go out again."""

    def perform(_: UUID) -> str:
        return f"/notifications/{notifying.send_again(here, caller, notification_id).id}"

    came = act(here, caller, form, ["notify again", str(notification_id)], perform)
    return _page(here, caller, notification_id, came) if isinstance(came, Trouble) else came


def _page(here: Site, caller: Caller, id: UUID, trouble: Trouble | None = None) -> Response:
    return page(
        "notification.html",
        caller=caller,
        section="notifications",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        form_id=uuid4(),
        notification=outbox.get(here.db, caller.tenant_id, id),
        attempts=outbox.attempts(here.db, caller.tenant_id, id),
    )


def _list(
    here: Site,
    caller: Caller,
    state: State | None = None,
    cursor: str | None = None,
    *,
    typed: dict[str, str] | None = None,
    trouble: Trouble | None = None,
) -> Response:
    before = cursors.decode(cursor) if cursor is not None else None
    found = outbox.notifications(here.db, caller.tenant_id, state=state, before=before, limit=_PER_PAGE + 1)
    try:
        audiences, broken = here.routes.audiences(), None
    except UsageError as error:  # nothing goes out until it is corrected: said here, and no reason to show nothing
        audiences, broken = {}, Trouble(error.what, error.next_step)
    return page(
        "notifications.html",
        caller=caller,
        section="notifications",
        status=_UNPROCESSABLE if trouble else 200,
        notifications=found[:_PER_PAGE],
        earlier=cursors.encode(found[_PER_PAGE - 1].position) if len(found) > _PER_PAGE else "",
        counts=outbox.counts(here.db, caller.tenant_id),
        state=state,
        states=STATES,
        audiences=audiences,
        broken=broken,
        severities=SEVERITIES,
        longest=LONGEST_BODY,
        form_id=uuid4(),
        typed=typed or {"audience": "", "text": "", "severity": "info"},
        trouble=trouble,
    )
