"""What the API's endpoints share: documented problems, the Idempotency-Key, and answers that can be replayed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header
from starlette.responses import JSONResponse, Response

from prodsprints.kernel.problems import MEDIA_TYPE
from prodsprints.web.idempotency import Answer
from prodsprints.web.problems import Problem
from prodsprints.web.site import Site, site

Here = Annotated[Site, Depends(site)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A request that is sent again with its key acts once and is answered the same.",
    ),
]


def _documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "content": {MEDIA_TYPE: {}}} for status in statuses}


DRAWING: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}}
READS = _documented(401, 404, 422, 503)
CHANGES = _documented(401, 403, 404, 409, 422, 503)


def answered(answer: Answer) -> JSONResponse:
    """The response for an answer; a replayed one says so."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    media_type = MEDIA_TYPE if answer.status >= 400 else None
    return JSONResponse(answer.body, status_code=answer.status, headers=headers, media_type=media_type)


def drawing(svg: str) -> Response:
    """An SVG as a document of its own, which may bring its own style and nothing else."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return Response(svg, media_type="image/svg+xml", headers={"Content-Security-Policy": policy})
