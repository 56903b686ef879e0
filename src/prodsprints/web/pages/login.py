"""Logging in with a link, once, and out again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from prodsprints.web import tokens
from prodsprints.web.api.answers import Here
from prodsprints.web.errors import LoginLinkSpentError
from prodsprints.web.identity import SESSION_COOKIE, refuse_foreign_origin
from prodsprints.web.pages.render import page

router = APIRouter()

_SEE_OTHER = 303


@router.get("/login")
def how_to_log_in() -> Response:
    """How to get a login link."""
    return page("login.html", caller=None, why="")


@router.get("/login/{code}")
def open_link(code: str) -> Response:
    """One button. Opening the link spends nothing, so that a previewing program cannot use it up."""
    return page("login_link.html", caller=None, code=code)


@router.post("/login")
def log_in(request: Request, code: Annotated[str, Form(max_length=200)], here: Here) -> Response:
    """Spend the code for a session."""
    refuse_foreign_origin(request)
    spent = tokens.spend_login(here.db, code)
    if spent is None:
        raise LoginLinkSpentError(
            "This login link was used before, or is older than a minute.",
            next_step="Make a new one: `prodsprints login --open`.",
        )
    response = RedirectResponse("/", _SEE_OTHER)
    response.set_cookie(
        SESSION_COOKIE,
        spent[1].value,
        max_age=tokens.SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
def log_out(request: Request, here: Here) -> Response:
    """End the session, here and in the database."""
    refuse_foreign_origin(request)
    session = request.cookies.get(SESSION_COOKIE)
    if session:
        tokens.revoke(here.db, session)
    response = RedirectResponse("/", _SEE_OTHER)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response
