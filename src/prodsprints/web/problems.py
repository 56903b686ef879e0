"""Problem documents as the API answers with them, also for what the HTTP layer refuses by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.problems import MEDIA_TYPE, problem
from prodsprints.web.errors import (
    BodyTooLargeError,
    HttpError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
)

RETRY_AFTER_SECONDS = 2


class Problem(BaseModel):
    """What every error of the API looks like (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Names the kind of problem; `urn:prodsprints:` and its code.")
    title: str = Field(description="The kind of problem in words; the same for every problem of this type.")
    status: int
    detail: str = Field(description="What happened this time, and why.")
    code: str = Field(description="`room/kind`, as on the command line.")
    next_step: str = Field(description="What to do about it.")
    exit_code: int = Field(description="The exit code with which the command line reports it.")


def respond(members: Mapping[str, Any]) -> JSONResponse:
    """The problem as a response, with the headers that its status asks for."""
    status = int(members["status"])
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="prodsprints"'
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return JSONResponse(dict(members), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def from_validation(error: RequestValidationError) -> dict[str, Any]:
    """A problem that names each wrong part of the request by JSON pointer, and repeats none of its values."""
    errors = [_named(entry) for entry in error.errors()]
    first = errors[0] if errors else {"pointer": "", "detail": "It is not readable."}
    return problem(
        InvalidRequestError(
            f"The request is not valid at {first['pointer'] or 'its body'}: {first['detail']}.",
            next_step="Correct what `errors` lists; /v1/openapi.json says what this address takes.",
        ),
        errors=errors,
    )


def from_http(error: HTTPException, *, method: str, path: str) -> ProdSprintsError:
    """Starlette's own refusals (no such route, wrong method, oversized body) in our words."""
    if error.status_code == 404:
        return NotFoundError(
            f"There is nothing at {path}.", next_step="Check the address; /v1/openapi.json lists them."
        )
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        return MethodNotAllowedError(f"{path} does not answer {method}.", next_step=f"Use {allowed}.")
    if error.status_code == 413:
        return BodyTooLargeError("The request's body is too large.", next_step="Send at most 64 KiB.")
    return HttpError(f"{error.detail}.", next_step="Correct the request; /v1/openapi.json describes each address.")


def _named(entry: Mapping[str, Any]) -> dict[str, str]:
    if entry["type"] == "json_invalid":  # its place is a character's, and nothing that a pointer could name
        return {"pointer": "", "detail": f"It is not JSON at character {entry['loc'][-1]}"}
    return {"pointer": _pointer(entry["loc"]), "detail": entry["msg"]}


def _pointer(location: Sequence[int | str]) -> str:
    where, *path = location
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    return pointer if where == "body" else f"{where}{pointer}"
