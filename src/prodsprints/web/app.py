"""The web application: the /v1 API and the pages behind one boundary."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.problems import problem
from prodsprints.kernel.settings import Settings
from prodsprints.register import heatmap
from prodsprints.runtime.client import NodeAgent
from prodsprints.store.database import Database
from prodsprints.store.errors import DatabaseVersionError
from prodsprints.web import api, identity, pages, problems
from prodsprints.web.boundary import Boundary
from prodsprints.web.hosts import Hosts
from prodsprints.web.site import Site

_STATIC = Path(__file__).parent / "static"
_SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}
_DESCRIPTION = (
    "Releases, environments, drills, evidence and the risk register of one ProdSprints. Every error is an RFC 9457 "
    "problem. On loopback reading needs no login; whatever changes something needs a token, or the session of a person "
    "who logged in."
)


def create_app(
    settings: Settings,
    db: Database,
    node_agent: Callable[[Settings], NodeAgent] = NodeAgent,
    *,
    reader_tenant: str = "default",
) -> FastAPI:
    """The application for one server; on loopback a reader without a login sees `reader_tenant`."""
    app = _described()
    hosts = Hosts(settings)
    app.state.site = Site.of(settings, db, node_agent(settings), hosts, reader_tenant)
    app.add_route("/static/heatmap.css", _heatmap_style, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.include_router(pages.router, include_in_schema=False)
    app.add_middleware(Boundary, hosts=hosts, refuse=_refusal)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(psycopg.errors.UndefinedTable, _on_other_schema)
    app.add_exception_handler(psycopg.errors.UndefinedColumn, _on_other_schema)
    return app


def openapi() -> dict[str, Any]:
    """The API's OpenAPI 3.1 document."""
    return _described().openapi()


def _described() -> FastAPI:
    # No telemetry: spans would carry paths, and with them login codes. No interactive docs: they come from a CDN.
    app = FastAPI(
        title="ProdSprints",
        version=version("prodsprints"),
        description=_DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        telemetry=_SILENT,
        redirect_slashes=False,
    )
    for router in (api.router, api.scrape):
        app.include_router(router, dependencies=identity.DESCRIBED)
    return app


async def _heatmap_style(_: Request) -> Response:
    return Response(heatmap.STYLE, media_type="text/css")


def _refusal(request: Request, error: ProdSprintsError) -> Response:
    if _is_for_programs(request):
        return problems.respond(problem(error))
    return pages.refusal(request, error)


def _is_for_programs(request: Request) -> bool:
    return request.url.path.startswith("/v1/") or request.url.path == "/metrics"


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # narrows for mypy
    if _is_for_programs(request):
        return problems.respond(problems.from_validation(error))
    return pages.refusal(request, pages.no_such_page(request.url.path))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # narrows for mypy
    return _refusal(request, problems.from_http(error, method=request.method, path=request.url.path))


async def _on_other_schema(request: Request, error: Exception) -> Response:
    return _refusal(
        request,
        DatabaseVersionError(
            "The database's schema is older or newer than this version of ProdSprints.",
            why=f"{type(error).__name__}.",
            next_step="Run `prodsprints up` of this version, which brings an older schema up to date.",
        ),
    )
