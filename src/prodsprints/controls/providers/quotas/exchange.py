"""One JSON question to a provider's API and one answer, each failure told apart, and nothing tried twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import httpx

from prodsprints.controls.providers.errors import ProviderAnswerError, ProviderRefusedError, ProviderUnavailableError
from prodsprints.controls.providers.quotas.forecast import LARGEST
from prodsprints.guard import RateLimitError

LONGEST_BYTES = 1024 * 1024
_LONGEST_MESSAGE = 300
_TOO_MANY_REQUESTS = 429
_CODE = re.compile(r"[A-Za-z0-9.:_#/-]{1,150}")

_NEXT_STEPS = {
    401: "Renew the worker's credentials; they are not known there, or over.",
    403: "Allow these credentials that call.",
    404: "Compare account, region, service and code with the provider's own list of quotas.",
}


@dataclass(frozen=True)
class Refusal:
    """An error as a provider names it."""

    code: str
    message: str


def ask(
    http: httpx.Client,
    who: str,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: str | None = None,
    throttled: Callable[[Refusal], bool] = lambda _: False,
) -> dict[str, Any]:
    """What `who` answers. Raises RateLimitError, ProviderRefusedError, -UnavailableError or -AnswerError."""
    try:
        with http.stream(method, url, content=content, headers=headers) as response:
            body = _bounded(response, who)
    except httpx.TransportError as error:
        raise _unavailable(who, str(error) or type(error).__name__) from None
    if response.is_success:
        return _object(body, who)
    refusal = _refusal(body)
    if response.status_code == _TOO_MANY_REQUESTS or throttled(refusal):
        raise RateLimitError(
            response.headers.get("Retry-After"),
            what=f"{who} throttles these credentials.",
            why=f"{refusal.code} {refusal.message}".strip(),
        )
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise _unavailable(who, f"It answered {response.status_code} {refusal.code}".strip())
    said = f"{refusal.code} {refusal.message}".strip()
    raise ProviderRefusedError(
        f"{who} refuses the call.",
        why=f"It answered {response.status_code}{f': {said}' if said else ''}.",
        next_step=_NEXT_STEPS.get(response.status_code, "Check the worker's credentials, and what they are allowed."),
    )


def member(answer: Any, *path: str) -> Any:
    """What stands at `path` in an answer; None where it does not."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def text(answer: Any, *path: str, longest: int = 200) -> str:
    """A line of text from an answer; empty if there is none."""
    found = member(answer, *path)
    if not isinstance(found, str):
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in found).strip()[:longest]


def number(answer: Any, *path: str) -> float | None:
    """A finite number from an answer, also one that is written as text, as int64 is in Google's JSON."""
    found = member(answer, *path)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        value = float(found)
    except (ValueError, OverflowError):
        return None
    return value if isfinite(value) and abs(value) <= LARGEST else None


def items(answer: Any, *path: str, most: int = 10_000) -> list[dict[str, Any]]:
    """The objects of a list in an answer."""
    found = member(answer, *path)
    return [each for each in found[:most] if isinstance(each, dict)] if isinstance(found, list) else []


def limit_of(answer: Any, *path: str, who: str) -> float:
    """The limit in an answer. Raises ProviderAnswerError where none is."""
    found = number(answer, *path)
    if found is None or found <= 0:
        raise unexpected(who, "It states no limit above 0.")
    return found


def unexpected(who: str, why: str) -> ProviderAnswerError:
    """That an answer is not as promised."""
    return ProviderAnswerError(
        f"The answer of {who} is not what its API promises.",
        why=why,
        next_step="Check that nothing between the worker and the provider answers in its place: a proxy, a login page.",
    )


def _bounded(response: httpx.Response, who: str) -> bytes:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > LONGEST_BYTES:
            raise unexpected(who, f"It is longer than {LONGEST_BYTES:,} bytes.")
    return body


def _object(body: bytes, who: str) -> dict[str, Any]:
    try:
        found = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        raise unexpected(who, "It is no JSON.") from None
    if not isinstance(found, dict):
        raise unexpected(who, "It is no JSON object.")
    return found


def _refusal(body: bytes) -> Refusal:
    """The error in AWS's shape (__type, message) or in Google's and Azure's (error: code or status, message)."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal("", "")
    inner = member(found, "error")
    code = text(found, "__type").rpartition("#")[2] or text(inner, "status") or text(inner, "code")
    message = text(found, "message", longest=_LONGEST_MESSAGE) or text(found, "Message", longest=_LONGEST_MESSAGE)
    message = message or text(inner, "message", longest=_LONGEST_MESSAGE)
    return Refusal(code if _CODE.fullmatch(code) else "", message)


def _unavailable(who: str, why: str) -> ProviderUnavailableError:
    return ProviderUnavailableError(
        f"{who} does not answer.",
        why=why,
        next_step="It is asked again by itself; if it stays so, look at its status page and at the way out from here.",
    )
