"""Turns a template and its values into a response; every page gets the same frame."""

from __future__ import annotations

import re
import shutil
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from prodsprints.kernel import clock
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.redaction import Redactor
from prodsprints.web import words
from prodsprints.web.errors import LoginRequiredError, NotFoundError
from prodsprints.web.identity import Caller
from prodsprints.web.pages import navigation
from prodsprints.web.problems import RETRY_AFTER_SECONDS

_redactor = Redactor()
_CODE = re.compile(r"`([^`\n]{1,300})`")


def page(template: str, *, caller: Caller | None, section: str = "", status: int = 200, **values: Any) -> HTMLResponse:
    """The page made of `template`; `section` is the entry of the navigation that it belongs to."""
    places = {"bar": navigation.BAR, "entry": navigation.entry(section), "below": navigation.below(section)}
    frame = {"caller": caller, "section": section, "now": clock.now(), **places}
    return HTMLResponse(_templates().get_template(template).render(frame | values), status_code=status)


def refusal(request: Request, error: ProdSprintsError) -> Response:
    """An error as a page: what happened, why, what to do. One that will pass reloads itself."""
    if isinstance(error, LoginRequiredError):
        return page("login.html", caller=None, status=error.http_status, why=error.what)
    response = page(
        "error.html",
        caller=None,
        status=error.http_status,
        error=error,
        what=_redactor.text(error.what),
        why=_redactor.text(error.why),
        next_step=_redactor.text(error.next_step),
        refresh_seconds=RETRY_AFTER_SECONDS if error.http_status == 503 and request.method == "GET" else 0,
    )
    if error.http_status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def no_such_page(path: str) -> NotFoundError:
    """The error for an address without a page."""
    return NotFoundError(f"There is no page at {path[:200]}.", next_step="The navigation above leads to all there is.")


@cache
def program() -> str:
    """The command as this machine's shell would find it."""
    ours = Path(sys.prefix) / "bin" / "prodsprints"
    found = shutil.which("prodsprints")
    if found and Path(found).resolve() == ours.resolve():
        return "prodsprints"
    return f"~/{ours.relative_to(Path.home())}" if ours.is_relative_to(Path.home()) else str(ours)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("prodsprints.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, program=program(), version=version("prodsprints"))
    environment.filters["iso"] = clock.iso
    environment.filters["said"] = _said
    return environment


def _said(text: str) -> Markup:
    """A sentence of ours: what stands between backquotes is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped just before
