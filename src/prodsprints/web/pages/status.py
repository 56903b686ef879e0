"""The public status page and its feed: for everybody, without a login, and without a trace of who looks."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from prodsprints.controls.integrations import feed
from prodsprints.controls.integrations.health import Level
from prodsprints.controls.integrations.status_page import StatusPage
from prodsprints.store.errors import DatabaseUnavailableError
from prodsprints.web import words
from prodsprints.web.api.answers import Here
from prodsprints.web.api.status import TenantName
from prodsprints.web.history_bars import history_bars
from prodsprints.web.pages.render import page
from prodsprints.web.problems import RETRY_AFTER_SECONDS
from prodsprints.web.public import as_public, public_page
from prodsprints.web.site import Site

router = APIRouter()

_UNAVAILABLE = 503


@dataclass(frozen=True)
class Headline:
    """What the page says first, and in which colour."""

    tone: str
    words: str


@router.get("/status")
def status(request: Request, here: Here) -> Response:
    """The platform's own status page."""
    return _page(request, here, None)


@router.get("/status/feed.atom")
def status_feed(request: Request, here: Here) -> Response:
    """Its outages and what was told of incidents, as a feed."""
    return _feed(request, here, None)


@router.get("/status/{tenant}")
def status_of(tenant: TenantName, request: Request, here: Here) -> Response:
    """The status page of another tenant."""
    return _page(request, here, tenant)


@router.get("/status/{tenant}/feed.atom")
def status_feed_of(tenant: TenantName, request: Request, here: Here) -> Response:
    """The feed of another tenant."""
    return _feed(request, here, tenant)


def headline(found: StatusPage) -> Headline:
    """The whole in one sentence; what is not measured is never called well."""
    troubled = [service.name for service in found.services if service.level in {Level.DOWN, Level.DEGRADED}]
    if not found.services:
        return Headline("idle", "No service is shown here yet.")
    if troubled:
        verb = "is" if len(troubled) == 1 else "are"
        rest = f" {_unmeasured(found.unmeasured)}" if found.unmeasured else ""
        down = found.level is Level.DOWN
        return Headline("bad" if down else "warn", f"{words.listed(troubled)} {verb} {_how(found, down)}.{rest}")
    if found.unmeasured:
        return Headline("idle", _unmeasured(found.unmeasured))
    return Headline("good", "All services work." if len(found.services) > 1 else "It works.")


def _how(found: StatusPage, down: bool) -> str:
    mixed = {service.level for service in found.services} >= {Level.DOWN, Level.DEGRADED}
    return "down or degraded" if mixed else "down" if down else "degraded"


def _unmeasured(number: int) -> str:
    verb = "is" if number == 1 else "are"
    return f"{words.count(number, 'service')} {verb} not measured at present, so nobody can say how that stands."


def _page(request: Request, here: Site, tenant: str | None) -> Response:
    try:
        found, _ = public_page(here, tenant)
    except DatabaseUnavailableError:
        away = Headline("bad", "The platform does not answer at present; how its services are, nobody can say.")
        response = _rendered(tenant, None, away, _UNAVAILABLE)
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    return as_public(request, bytes(_rendered(tenant, found, headline(found), 200).body), "text/html")


def _rendered(tenant: str | None, found: StatusPage | None, said: Headline, status: int) -> Response:
    return page(
        "status.html",
        caller=None,
        section="status",
        status=status,
        tenant=tenant,
        at="/status" if tenant is None else f"/status/{tenant}",
        found=found,
        headline=said,
        bars={one.id: history_bars(one.name, one.days, style=False) for one in found.services} if found else {},
    )


def _feed(request: Request, here: Site, tenant: str | None) -> Response:
    found, tenant_id = public_page(here, tenant)
    # The boundary has seen that the host is one of ours.
    at = f"{request.url.scheme}://{request.headers['host']}/status" + ("" if tenant is None else f"/{tenant}")
    title = "Status" if tenant is None else f"Status of {tenant}"
    body = feed.atom(found, tenant_id, title=title, page_url=at, feed_url=f"{at}/feed.atom")
    return as_public(request, body, feed.MEDIA_TYPE)
