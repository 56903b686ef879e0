"""What the API says of dependencies, and takes to freeze one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import inf
from typing import Annotated
from uuid import UUID

from pydantic import Field

from prodsprints.controls.providers.dependencies.by_hand import LONGEST_SECONDS, Act
from prodsprints.controls.providers.dependencies.dependency import Dependency as Seen
from prodsprints.controls.providers.quotas.exhaustion import Exhaustion
from prodsprints.guard import Circuit
from prodsprints.web.api.values import Request, Value

Seconds = Annotated[
    float | None, Field(description="Null without attempts, and where it is longer than the last bucket, 60 s.")
]


class Process(Value):
    """What one process sees of the provider."""

    worker: str
    heard_seconds_ago: float
    is_fresh: bool
    circuit: Circuit
    in_flight: int
    limit: float | None
    rate: float
    trips: int


class Scope(Value):
    """A quota scope and the keys that share it."""

    name: str
    keys: list[str] = Field(description="Their names; empty for a guard without keys of its own.")
    is_shared: bool = Field(description="Whether the fleet spends one bucket, which can be frozen by hand.")
    rate: float | None = Field(description="Allowed in a second; null where nobody knows.")
    burst: float | None
    remaining: float | None
    frozen_seconds: float


class Slot(Value):
    """Five seconds of the recent past."""

    attempts: int
    failed: int
    throttled: int
    rejected: int
    circuit: Circuit = Field(description="The worst state in that time.")


class NearestQuota(Value):
    """That followed quota of the provider whose limit is reached first."""

    id: UUID
    name: str
    reaches: datetime
    seconds: float = Field(description="Until then; 0 if it is reached.")


class ByHand(Value):
    """Somebody froze or thawed one of its buckets."""

    at: datetime
    act: str
    seconds: float = Field(description="For how long it was frozen, or how much of that was spared.")
    actor: str


class Dependency(Value):
    """A provider as all processes see it. Counts are since each of them began."""

    name: str
    circuit: Circuit = Field(description="The worst of what the fleet and its processes say.")
    common_circuit: Circuit | None = Field(description="The fleet's own; null where its processes share none.")
    heard_seconds_ago: float
    is_fresh: bool = Field(description="Whether a process told of it in the last ten seconds.")
    rate: float = Field(description="Attempts a second, over the last ones.")
    rate_limit: float | None = Field(description="What the provider allows in a second; null where nobody knows.")
    in_flight: int
    limit: float | None = Field(description="As many calls may be under way at a time, in all processes together.")
    outcomes: dict[str, int] = Field(description="Calls by how they ended.")
    attempts: dict[str, int] = Field(description="Attempts at the provider by how they ended.")
    rejections: dict[str, int] = Field(description="Calls that a layer of the guard turned away.")
    recent_attempts: int = Field(description="In the last five minutes.")
    p50_seconds: Seconds
    p95_seconds: Seconds
    p99_seconds: Seconds
    retries: int
    budget_spent: int = Field(description="Retries that were not made because the budget was spent.")
    retry_tokens: float | None = Field(description="Retries that the budget would pay for now.")
    throttled: int
    trips: int
    last_trips: list[datetime] = Field(description="The newest first.")
    scopes: list[Scope]
    processes: list[Process]
    slots: list[Slot | None] = Field(description="Five minutes, the newest first; null before anybody counted.")
    quota: NearestQuota | None = Field(description="Null where none is followed, or none is foreseen to be exhausted.")
    bucket_seconds: float | None = Field(description="Until its buckets are empty at this rate; null if they are not.")
    by_hand: list[ByHand] = Field(description="What was done by hand, the newest first.")


class Freeze(Request):
    """For how long, and which key if not all."""

    seconds: float = Field(description=f"Above 0, and at most {LONGEST_SECONDS:.0f}, a day.")
    key: str | None = Field(None, max_length=200, description="Only the scope of this key.")


class Thaw(Request):
    """Which key if not all."""

    key: str | None = Field(None, max_length=200, description="Only the scope of this key.")


def dependency(
    one: Seen, acts: Sequence[Act], quota: Exhaustion | None, bucket_seconds: float | None, now: datetime
) -> Dependency:
    """As the API says it."""
    return Dependency(
        name=one.name,
        circuit=one.circuit,
        common_circuit=one.common_circuit,
        heard_seconds_ago=round(one.heard_seconds_ago, 1),
        is_fresh=one.is_fresh,
        rate=round(one.rate, 3),
        rate_limit=one.rate_limit,
        in_flight=one.in_flight,
        limit=_finite(one.limit),
        outcomes={outcome.value: count for outcome, count in one.outcomes.items()},
        attempts={outcome.value: count for outcome, count in one.attempts.items()},
        rejections={outcome.value: count for outcome, count in one.rejections.items()},
        recent_attempts=one.recent.calls if one.recent else 0,
        p50_seconds=_finite(one.seconds(0.5)),
        p95_seconds=_finite(one.seconds(0.95)),
        p99_seconds=_finite(one.seconds(0.99)),
        retries=one.retries,
        budget_spent=one.budget_spent,
        retry_tokens=_finite(one.retry_tokens),
        throttled=one.throttled,
        trips=one.trips,
        last_trips=[now - timedelta(seconds=age) for age in one.trips_seconds_ago],
        scopes=[
            Scope(
                name=scope.name,
                keys=[key for key in scope.keys if key],
                is_shared=bool(scope.shared),
                rate=scope.rate,
                burst=scope.burst,
                remaining=scope.remaining,
                frozen_seconds=round(scope.frozen_seconds, 1),
            )
            for scope in one.scopes
        ],
        processes=[
            Process.model_validate({**vars(process), "limit": _finite(process.limit)}) for process in one.processes
        ],
        slots=[None if slot is None else Slot.model_validate(slot) for slot in one.slots],
        quota=None
        if quota is None
        else NearestQuota(id=quota.quota.id, name=quota.quota.name, reaches=quota.reaches, seconds=quota.seconds),
        bucket_seconds=bucket_seconds,
        by_hand=[ByHand.model_validate(act) for act in acts],
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or value == inf else value
