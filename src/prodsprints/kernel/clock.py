"""Wall time, in UTC and aware; durations are measured with `time.monotonic()`, which never goes backwards."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """`moment` as ISO 8601 in UTC with millisecond precision and a `Z`, e.g. `2026-11-23T15:29:00.000Z`.

    Raises ValueError for a naive datetime: we never guess a zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place here: pass an aware one")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
