"""Errors as RFC 9457 problem documents: how the API, the node agent and the command line tell them to programs."""

from __future__ import annotations

import inspect
from typing import Any

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.redaction import Redactor

MEDIA_TYPE = "application/problem+json"

_redactor = Redactor()


def problem(error: ProdSprintsError, **more: Any) -> dict[str, Any]:
    """`error` as the members of a problem, redacted; `more` are extension members.

    The title is the same for every error of a kind: the first line of its class's docstring.
    """
    members = {
        "type": f"urn:prodsprints:{error.code}",
        "title": (inspect.getdoc(type(error)) or error.code).splitlines()[0].rstrip("."),
        "status": error.http_status,
        "detail": " ".join(part for part in (error.what, error.why) if part),
        "code": error.code,
        "next_step": error.next_step,
        "exit_code": int(error.exit_code),
        **more,
    }
    return dict(_redactor.value(members))
