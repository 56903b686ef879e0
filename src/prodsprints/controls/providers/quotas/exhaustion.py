"""How long a provider's quotas last: for the page of dependencies, and for whoever else asks about a provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from uuid import UUID

from prodsprints.controls.providers.quotas import book
from prodsprints.controls.providers.quotas.forecast import natural, positive
from prodsprints.controls.providers.quotas.model import Quota
from prodsprints.store.database import Database


@dataclass(frozen=True)
class Exhaustion:
    """Of a provider's quotas the one whose limit is reached first; `seconds` is 0.0 where it is reached."""

    quota: Quota
    reaches: datetime
    seconds: float


def time_to_exhaustion(db: Database, tenant_id: UUID, provider: str, now: datetime) -> Exhaustion | None:
    """When the first of `provider`'s limits is reached; None where no quota is followed or none is foreseen to be."""
    found = []
    for quota in book.quotas(db, tenant_id, provider):
        forecast = book.foreseen(db, tenant_id, quota, now)
        if forecast is not None and forecast.reaches is not None:
            found.append(Exhaustion(quota, forecast.reaches, forecast.seconds_left(now) or 0.0))
    return min(found, key=lambda one: one.seconds, default=None)


def bucket_empty_seconds(tokens: float, used_per_second: float, limit_per_second: float) -> float | None:
    """When a token bucket runs empty; None while it fills faster than it is drawn from.

    Raises QuotaInputError.
    """
    positive(limit_per_second, "limit")
    natural(tokens, "number of tokens")
    natural(used_per_second, "use")
    drained = used_per_second - limit_per_second
    if drained <= 0:
        return None
    seconds = tokens / drained
    return seconds if isfinite(seconds) else None


def window_spent_seconds(limit: float, used: float, used_per_second: float, left_seconds: float) -> float | None:
    """When the allowance of a window, such as 5,000 an hour, is spent; None if the window ends before that.

    Raises QuotaInputError.
    """
    positive(limit, "limit")
    natural(used, "use")
    natural(used_per_second, "use")
    natural(left_seconds, "rest of the window")
    if used >= limit:
        return 0.0
    spent = used + used_per_second * left_seconds
    return None if spent < limit or not used_per_second else (limit - used) / used_per_second
