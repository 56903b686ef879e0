"""The Retry-After header (RFC 9110, 10.2.3) as seconds, for errors that carry it."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isnan

_LONGEST_HEADER = 64


def seconds_from(value: float | str | None, now: datetime | None = None) -> float | None:
    """`value` (seconds, or a header's text) as seconds from now, at least 0; None if it says nothing.

    A malformed header says nothing. A huge one is returned as it is: how long to believe it is the guard's decision.
    """
    if isinstance(value, str):
        return _parse(value.strip(), now)
    if value is None or isnan(value):
        return None
    return max(0.0, float(value))


def _parse(text: str, now: datetime | None) -> float | None:
    if len(text) > _LONGEST_HEADER:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    moment = _http_date(text)
    return None if moment is None else max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _http_date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # only a throttled call needs it

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
