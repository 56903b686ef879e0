"""What a provider's HTTP answer means to a guard, by the provider's profile, whatever client received it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prodsprints.guard.errors import CallTimeoutError, GuardError, RateLimitError, ServiceUnavailable
from prodsprints.guard.profiles import Profile

_LONGEST_NUMBER = 20
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


class UnansweredError(CallTimeoutError, ServiceUnavailable):
    """No answer in time; unlike a CallTimeoutError it is made again, as one that is safe to ask twice."""


def error_of(
    profile: Profile, status: int, headers: Mapping[str, str], *, host: str, words: str = ""
) -> GuardError | None:
    """What to raise for an answer of `host`; None for one that is the caller's to read. `words` are its body's."""
    waits = headers.get("retry-after")
    if _is_throttled(profile, status, headers, words):
        return RateLimitError(
            _until_reset(profile, headers) if waits is None else waits,
            what=f"{host} answers {status}: its rate limit is reached.",
        )
    if status in profile.unavailable:
        return ServiceUnavailable(
            f"{host} answers {status}.",
            retry_after=waits,
            next_step="Try again later; if it stays so, look at the provider's status page.",
        )
    return None


def is_safe(method: str) -> bool:
    """Whether asking twice does what asking once does (RFC 9110, 9.2.2)."""
    return method.upper() in _SAFE


def _is_throttled(profile: Profile, status: int, headers: Mapping[str, str], words: str) -> bool:
    if status in profile.throttled:
        return True
    if status in profile.throttled_if_spent and _number(headers, profile.remaining_header) == 0:
        return True
    if status in profile.throttled_if_asked_to_wait and "retry-after" in headers:
        return True
    return profile.throttled_words.get(status, "\0") in words


def _until_reset(profile: Profile, headers: Mapping[str, str]) -> float | None:
    """Seconds until the provider fills the quota again, where it says so and none of it is left."""
    if _number(headers, profile.remaining_header) != 0:
        return None
    reset = _number(headers, profile.reset_header)
    return None if reset is None else max(0.0, reset - time.time())


def _number(headers: Mapping[str, str], name: str) -> int | None:
    """A header's whole number; what stands behind a semicolon (`20;w=21600`) is no part of it."""
    text = headers.get(name, "").partition(";")[0].strip() if name else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < _LONGEST_NUMBER else None
