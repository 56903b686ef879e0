"""The pages of quotas: how near each limit is, the day it is reached, and the request as it would be sent."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from prodsprints.controls.providers.quotas.forecast import Sample
from prodsprints.controls.providers.quotas.model import LEAD_DAYS
from prodsprints.kernel import clock
from prodsprints.web import quota_book
from prodsprints.web.api.answers import Here
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import FormId, Trouble, Typed, act
from prodsprints.web.pages.render import page
from prodsprints.web.quota_chart import quota_chart
from prodsprints.web.site import Site

router = APIRouter()

_UNPROCESSABLE = 422
_SEE_OTHER = 303


@router.get("/quotas")
def listing(here: Here, caller: Reading) -> Response:
    """Every quota, the one whose limit is nearest first."""
    return _listing(here, caller)


@router.post("/quotas")
def follow(
    here: Here,
    caller: Changing,
    form: FormId,
    provider: Typed = "",
    account: Typed = "",
    region: Typed = "",
    service: Typed = "",
    code: Typed = "",
    limit: Typed = "",
) -> Response:
    """Keep book of a quota; its page shows what becomes of it."""
    told = {"provider": provider, "account": account, "region": region, "service": service, "code": code}

    def perform(id: UUID) -> str:
        made = quota_book.follow(
            here,
            caller,
            provider=provider.strip(),
            account=account.strip(),
            region=region.strip(),
            service=service.strip(),
            code=code.strip(),
            limit=quota_book.amount(limit, "limit") if limit.strip() else None,
            id=id,
        )
        return f"/quotas/{made.quota.id}"

    came = act(here, caller, form, ["follow", told, limit], perform)
    return _listing(here, caller, told | {"limit": limit}, came) if isinstance(came, Trouble) else came


@router.get("/quotas/{quota_id}")
def quota(quota_id: UUID, here: Here, caller: Reading) -> Response:
    """One quota: its chart, its draft, its requests."""
    return _page(here, caller, quota_id)


@router.post("/quotas/{quota_id}/limit")
def set_limit(quota_id: UUID, here: Here, caller: Changing, form: FormId, limit: Typed = "") -> Response:
    """Set the limit by hand."""

    def perform(_: UUID) -> str:
        quota_book.set_limit(here, caller, quota_id, quota_book.amount(limit, "limit"))
        return f"/quotas/{quota_id}"

    return _done(here, caller, quota_id, act(here, caller, form, ["limit", str(quota_id), limit], perform))


@router.post("/quotas/{quota_id}/use")
def measure(quota_id: UUID, here: Here, caller: Changing, form: FormId, used: Typed = "") -> Response:
    """Tell what is used now."""

    def perform(_: UUID) -> str:
        quota_book.measure(here, caller, quota_id, [Sample(clock.now(), quota_book.amount(used, "use"))])
        return f"/quotas/{quota_id}"

    return _done(here, caller, quota_id, act(here, caller, form, ["use", str(quota_id), used], perform))


@router.post("/quotas/{quota_id}/draft")
def draft(quota_id: UUID, here: Here, caller: Changing, form: FormId) -> Response:
    """Draft the request now."""

    def perform(_: UUID) -> str:
        quota_book.draft(here, caller, quota_id)
        return f"/quotas/{quota_id}#request"

    return _done(here, caller, quota_id, act(here, caller, form, ["draft", str(quota_id)], perform))


@router.post("/quotas/{quota_id}/send")
def send(
    quota_id: UUID, here: Here, caller: Changing, form: FormId, request: Typed = "", desired: Typed = ""
) -> Response:
    """Send the draft as it was shown on the page."""

    def perform(_: UUID) -> str:
        quota_book.send(here, caller, UUID(request), quota_book.amount(desired, "limit"))
        return f"/quotas/{quota_id}#request"

    return _done(here, caller, quota_id, act(here, caller, form, ["send", request, desired], perform))


@router.post("/quotas/{quota_id}/drop")
def drop(quota_id: UUID, here: Here, caller: Changing, form: FormId, request: Typed = "") -> Response:
    """Do not send it."""

    def perform(_: UUID) -> str:
        quota_book.drop(here, caller, UUID(request))
        return f"/quotas/{quota_id}#request"

    return _done(here, caller, quota_id, act(here, caller, form, ["drop", request], perform))


@router.post("/quotas/{quota_id}/forget")
def forget(quota_id: UUID, here: Here, caller: Changing) -> Response:
    """Follow it no longer."""
    quota_book.forget(here, caller, quota_id)
    return RedirectResponse("/quotas", _SEE_OTHER)


def _done(here: Site, caller: Caller, quota_id: UUID, came: Response | Trouble) -> Response:
    return _page(here, caller, quota_id, came) if isinstance(came, Trouble) else came


def _listing(
    here: Site, caller: Caller, typed: dict[str, str] | None = None, trouble: Trouble | None = None
) -> Response:
    return page(
        "quotas.html",
        caller=caller,
        section="quotas",
        status=_UNPROCESSABLE if trouble else 200,
        standings=quota_book.standings(here, caller),
        typed=typed or {},
        trouble=trouble,
        form_id=uuid4(),
        lead_days=LEAD_DAYS,
    )


def _page(here: Site, caller: Caller, quota_id: UUID, trouble: Trouble | None = None) -> Response:
    shown = quota_book.shown(here, caller, quota_id)
    request = shown.standing.request
    return page(
        "quota.html",
        caller=caller,
        section="quotas",
        status=_UNPROCESSABLE if trouble else 200,
        shown=shown,
        standing=shown.standing,
        quota=shown.standing.quota,
        waiting=request if request and request.state.is_open else None,
        sent_as=json.dumps(request.call.body, indent=2, ensure_ascii=False) if request and request.call else "",
        chart=quota_chart(shown, style=False),
        trouble=trouble,
        form_id=uuid4(),
    )
