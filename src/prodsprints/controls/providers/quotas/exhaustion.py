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
    """When the first of `provider`'s limits is reached; None where no quota is followed or none is foreseen to be.

    Those of `aws` are also those of `aws-sts`, whose calls they serve.
    """
    found = []
    for quota in (one for name in {provider, provider.partition("-")[0]} for one in book.quotas(db, tenant_id, name)):
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
