"""The node agent's HTTP interface: JSON over its Unix socket, every error an RFC 9457 problem."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.problems import MEDIA_TYPE
from prodsprints.runtime import values
from prodsprints.runtime.errors import InvalidRequestError, NotFoundError, StorageError, to_problem
from prodsprints.runtime.node import Node

_MAX_BODY_BYTES = 1024**2

_Handler = Callable[[Request, Node], Awaitable[Response]]


def application(node: Node, on_shutdown: Callable[[], None]) -> Starlette:
    """The interface to `node`; `on_shutdown` is called once everything on the node has ended."""

    async def shut_down(_: Request, node: Node) -> Response:
        stopped = await asyncio.shield(asyncio.ensure_future(node.shut_down()))
        on_shutdown()
        return JSONResponse({"stopped": stopped})

    def route(method: str, path: str, handler: _Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            return await handler(request, node)

        return Route(path, endpoint, methods=[method])

    return Starlette(
        routes=[
            route("GET", "/health", _health),
            route("PUT", "/instances/{id}", _put_instance),
            route("GET", "/instances/{id}", _get_instance),
            route("DELETE", "/instances/{id}", _delete_instance),
            route("GET", "/instances/{id}/log", _log),
            route("PUT", "/routes/{environment}", _put_route),
            route("GET", "/routes/{environment}", _get_route),
            route("DELETE", "/routes/{environment}", _delete_route),
            route("GET", "/counters/{environment}", _counters),
            route("POST", "/shutdown", shut_down),
        ],
        exception_handlers={
            ProdSprintsError: _our_error,
            OSError: _storage_error,
            HTTPException: _http_error,
        },
    )


async def _health(_: Request, node: Node) -> Response:
    return JSONResponse(node.health())


async def _put_instance(request: Request, node: Node) -> Response:
    body = await _body(request)
    spec, token = values.InstanceSpec.parse(body), values.fencing_token(body.get("fencing_token"))
    created, view = await node.put_instance(_instance(request), spec, token)
    return JSONResponse(view, status_code=201 if created else 200)


async def _get_instance(request: Request, node: Node) -> Response:
    return JSONResponse(node.get_instance(_instance(request)))


async def _delete_instance(request: Request, node: Node) -> Response:
    return JSONResponse(await node.delete_instance(_instance(request), _query_token(request)))


async def _log(request: Request, node: Node) -> Response:
    offset, limit = _query_number(request, "offset", 0), _query_number(request, "limit", 65_536)
    return JSONResponse(await node.log(_instance(request), offset, limit))


async def _put_route(request: Request, node: Node) -> Response:
    body = await _body(request)
    arms, token = values.parse_arms(body.get("arms")), values.fencing_token(body.get("fencing_token"))
    return JSONResponse(await node.put_route(_environment(request), arms, token))


async def _get_route(request: Request, node: Node) -> Response:
    return JSONResponse(node.get_route(_environment(request)))


async def _delete_route(request: Request, node: Node) -> Response:
    await node.delete_route(_environment(request), _query_token(request))
    return Response(status_code=204)


async def _counters(request: Request, node: Node) -> Response:
    return JSONResponse(await node.counters(_environment(request)))


async def _body(request: Request) -> dict[str, Any]:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_BODY_BYTES:
            raise InvalidRequestError("The request's body is larger than 1 MiB.", next_step="Send less.")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidRequestError("The request's body is no JSON object.", next_step="Send one.")
    return document


def _instance(request: Request) -> str:
    return values.identifier(request.path_params["id"])


def _environment(request: Request) -> str:
    return values.environment_key(request.path_params["environment"])


def _query_token(request: Request) -> int:
    return values.fencing_token(request.query_params.get("fencing_token"))


def _query_number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.removeprefix("-").isdecimal() or len(text) > 18:
        raise InvalidRequestError(f"{name}={text[:40]!r} is no whole number.", next_step="Give one.")
    return int(text)


async def _our_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProdSprintsError)  # noqa: S101 - registered for this class
    return JSONResponse(to_problem(error), status_code=error.http_status, media_type=MEDIA_TYPE)


async def _storage_error(request: Request, error: Exception) -> Response:
    return await _our_error(
        request,
        StorageError(f"This machine refused: {error}.", next_step="Free disk space, memory or files, and try again."),
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    where = f"{request.method} {request.url.path[:200]}"
    return await _our_error(
        request, NotFoundError(f"The node agent does not know {where}: {error.detail}.", next_step="Use its client.")
    )
