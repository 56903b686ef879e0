"""The outermost layer: refuses foreign hosts and large bodies, adds the security headers, and catches our defects."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.redaction import Redactor
from prodsprints.web.errors import BodyTooLargeError, DefectError, ForeignHostError
from prodsprints.web.hosts import Hosts

MAX_BODY_BYTES = 64 * 1024
# A risk document is the one thing that people send us whole; as JSON or as a form it grows.
_LARGER = {"/v1/register/import": 4 * 1024**2, "/import": 4 * 1024**2}

# `same-origin`, not `no-referrer`: under the latter browsers send `Origin: null` with our own forms.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

_log = logging.getLogger(__name__)
_redactor = Redactor()


class Boundary:
    """ASGI middleware; `refuse` renders an error for the request at hand, as a problem or as a page."""

    def __init__(self, app: ASGIApp, *, hosts: Hosts, refuse: Callable[[Request, ProdSprintsError], Response]) -> None:
        self._app = app
        self._hosts = hosts
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything but HTTP passes (there are no WebSockets here)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        request = Request(scope, receive)
        try:
            self._refuse_foreign_host(scope)
            await self._app(scope, await _bounded(scope, receive), send_with_headers)
        except ProdSprintsError as error:
            await self._refuse(request, error)(scope, receive, send_with_headers)
        except Exception as error:
            defect = _logged(error, scope)
            if not started:
                await self._refuse(request, defect)(scope, receive, send_with_headers)

    def _refuse_foreign_host(self, scope: Scope) -> None:
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1 or not self._hosts.allows(hosts[0], scope["scheme"]):
            raise ForeignHostError(
                "This server does not go by that name.",
                why=f"The request is for {', '.join(hosts)[:200]!r}.",
                next_step="Open the address that `prodsprints up` printed, or set PRODSPRINTS_HOST to this name.",
            )


async def _bounded(scope: Scope, receive: Receive) -> Receive:
    """`receive` with the whole body read already, so that its size is known before anybody acts on it."""
    if scope["method"] in {"GET", "HEAD", "OPTIONS"}:
        return receive
    most = _LARGER.get(scope["path"], MAX_BODY_BYTES)
    too_large = BodyTooLargeError(
        f"The request's body is larger than {most // 1024} KiB.",
        next_step="Send less; no request of this kind needs that much.",
    )
    announced = Headers(scope=scope).get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return receive
        body += message.get("body", b"")
        if len(body) > most:
            raise too_large
        if not message.get("more_body", False):
            break
    waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _logged(error: Exception, scope: Scope) -> DefectError:
    """Log a defect under an id; the path's own text stays out of the log, since it can carry a login code."""
    reference = secrets.token_hex(4)
    route = getattr(scope.get("route"), "path", "no route")
    trace = "".join(traceback.format_exception(error))
    _log.error("defect %s in %s %s\n%s", reference, scope["method"], route, _redactor.text(trace))
    return DefectError(
        f"A defect in ProdSprints ended this request (reference {reference}).",
        next_step=f"Look for {reference} in logs/web.log below PRODSPRINTS_HOME and report it.",
    )
