"""What the channels over HTTP share: one bounded POST, and what its status says of another try."""

from __future__ import annotations

import logging
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from prodsprints.guard import CallTimeoutError, RateLimitError, ServiceUnavailable
from prodsprints.notify.errors import RefusedError

logging.getLogger("httpx").setLevel(logging.WARNING)  # below, it writes addresses, which are secrets here

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_LONGEST_ANSWER = 65_536
_THROTTLED = 429
_TRANSIENT = frozenset({408, 425})


@dataclass(frozen=True)
class Told:
    """A peer's answer: its status, and the beginning of its body."""

    status: int
    body: bytes


class Post:
    """POSTs to one address that is a secret: no error of it names the address."""

    def __init__(self, url: str, seconds: float, auth: tuple[str, str] | None = None) -> None:
        self._url = url
        self._seconds = seconds
        parts = urllib.parse.urlsplit(url)
        # A proxy that the environment names leads out; nothing on this machine is reached by it.
        outside = parts.hostname not in _LOOPBACK
        # Without TLS there is nothing to verify, and to read the certificates takes 20 ms.
        self._client = httpx.Client(timeout=seconds, trust_env=outside, auth=auth, verify=parts.scheme != "http")

    def __call__(self, headers: Mapping[str, str], **content: Any) -> Told:
        """Send, and return a good answer. Raises RefusedError, RateLimitError, ServiceUnavailable, CallTimeoutError."""
        until = time.monotonic() + self._seconds
        try:
            with self._client.stream("POST", self._url, headers=dict(headers), **content) as answer:
                told = Told(answer.status_code, _beginning(answer, until))
                after = answer.headers.get("Retry-After")
        except httpx.TimeoutException:
            raise CallTimeoutError(f"no answer within {self._seconds:g} s") from None
        except httpx.ConnectError:
            raise ServiceUnavailable("it cannot be reached") from None
        except httpx.HTTPError as error:
            raise ServiceUnavailable(f"the connection failed ({type(error).__name__})") from None
        if told.status == _THROTTLED:
            words = f"it asks to wait {after[:40]}" if after else "it asks to wait"
            raise RateLimitError(after, what=f"throttled (429): {words}")
        if 400 <= told.status < 500 and told.status not in _TRANSIENT:
            raise RefusedError(
                f"it answered {told.status}: it will not take this", next_step="See the channel's setup."
            )
        if not 200 <= told.status < 300:
            raise ServiceUnavailable(f"it answered {told.status}", retry_after=after)
        return told


def _beginning(answer: httpx.Response, until: float) -> bytes:
    body = b""
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) >= _LONGEST_ANSWER or time.monotonic() > until:  # an answer in drops has no end
            break
    return body[:_LONGEST_ANSWER]
