"""Who is asking: by a token, by a session, or a reader on this machine; and what that allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import Request

from prodsprints.web import tokens
from prodsprints.web.errors import ForeignOriginError, LoginRequiredError
from prodsprints.web.site import Site, site

# A cookie does not know ports, so a browser sends it to every server on 127.0.0.1. Envoy keeps names that begin like
# this from released applications (runtime/own_cookies.lua).
SESSION_COOKIE = "prodsprints_session"
_READER = "reader"


@dataclass(frozen=True)
class Caller:
    """Who is asking, for which tenant, and how we know."""

    tenant_id: UUID
    actor: str
    means: Literal["token", "session", "none"]


def reading(request: Request) -> Caller:
    """Who reads. On loopback everybody may; elsewhere only who is logged in. Raises LoginRequiredError."""
    here = site(request)
    known = _known(request, here)
    if known is not None:
        return known
    if here.hosts.loopback_only:
        return Caller(here.reader_tenant_id(), _READER, "none")
    raise LoginRequiredError("Reading needs a login here, since this server is open to the network.", next_step=_HOW)


def changing(request: Request) -> Caller:
    """Who changes something: always somebody known, and a session only from our own pages."""
    here = site(request)
    known = _known(request, here)
    if known is None:
        raise LoginRequiredError("This changes something, which needs a token or a login.", next_step=_HOW)
    if known.means == "session":
        refuse_foreign_origin(request)
    return known


def refuse_foreign_origin(request: Request) -> None:
    """Raises ForeignOriginError unless the request was sent by a page of this server."""
    origin = request.headers.get("origin", "")
    # The boundary has refused foreign hosts; other addresses that may be ours are still not the page's own.
    if origin.lower() not in {f"{scheme}://{request.headers['host'].lower()}" for scheme in ("http", "https")}:
        raise ForeignOriginError(
            "The request was not sent by a page of this server.",
            why=f"Its Origin is {origin[:200]!r}." if origin else "It carries no Origin.",
            next_step="Use the page itself, or a token in the Authorization header.",
        )


def _known(request: Request, here: Site) -> Caller | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme:
        bearer = tokens.look_up(here.db, value.strip(), {"api"}) if scheme.lower() == "bearer" else None
        if bearer is None:
            raise LoginRequiredError("The token is unknown or over.", next_step=_HOW)
        return Caller(bearer.tenant_id, bearer.actor, "token")
    cookie = request.cookies.get(SESSION_COOKIE)
    bearer = tokens.look_up(here.db, cookie, {"session"}) if cookie else None
    return None if bearer is None else Caller(bearer.tenant_id, bearer.actor, "session")


_HOW = (
    "Programs send the one in <home>/secrets/api-token as a bearer token, or PRODSPRINTS_TOKEN names another;"
    " people log in with the link that `prodsprints login` makes."
)

# Both schemes only describe themselves in the OpenAPI document; `reading` and `changing` decide.
DESCRIBED = [Depends(HTTPBearer(auto_error=False)), Depends(APIKeyCookie(name=SESSION_COOKIE, auto_error=False))]

Reading = Annotated[Caller, Depends(reading)]
Changing = Annotated[Caller, Depends(changing)]
