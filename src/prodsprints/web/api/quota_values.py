"""What the API takes and gives about quotas."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from prodsprints.controls.providers.quotas.model import LEAD_DAYS, Kind, Source, State
from prodsprints.web.api.values import Request, Value

_Part = Annotated[str, Field(max_length=128)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class NewQuota(Request):
    """A quota to keep book of."""

    provider: Annotated[str, Field(min_length=1, max_length=40, examples=["aws"])]
    account: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description="The account's number, the project, the subscription."
    )
    region: _Part = ""
    service: _Part = Field("", description="Such as vpc, compute.googleapis.com, Microsoft.Compute.")
    code: Annotated[str, Field(min_length=1, max_length=128, examples=["L-DF5E4CA3"])]
    name: Annotated[str, Field(max_length=200)] = ""
    unit: Annotated[str, Field(max_length=40)] = ""
    kind: Kind = Kind.RESOURCE
    limit: _Number | None = Field(None, description="By hand; null: the provider's API is asked.")
    published: bool = Field(False, description="The limit that the profile of `provider` has, by the second.")
    lead_days: int = Field(LEAD_DAYS, description="How long before the limit the request is drafted.")


class NewLimit(Request):
    """A limit, by hand."""

    limit: _Number


class Measurement(Request):
    """How much was used at a moment; now, if none is named."""

    used: _Number
    at: AwareDatetime | None = None


class Measurements(Request):
    """What was used when, in any order."""

    samples: Annotated[list[Measurement], Field(min_length=1, max_length=10_000)]


class Sending(Request):
    """What the draft asks for, as it was seen by who sends it."""

    desired: _Number


class QuotaRequest(Value):
    """To raise a limit."""

    id: UUID
    quota_id: UUID
    state: State
    desired: float
    limit: float
    reason: str
    call: dict[str, Any] | None = Field(description="As it is sent, but for who signs it; null where there is no API.")
    reaches: datetime | None
    provider_id: str
    provider_status: str
    trouble: str
    created_at: datetime
    asked_at: datetime | None
    sent_at: datetime | None
    ended_at: datetime | None


class Quota(Value):
    """What is allowed, what is used of it, and when it ends."""

    id: UUID
    provider: str
    account: str
    region: str
    service: str
    code: str
    name: str
    unit: str
    kind: Kind
    source: Source
    limit: float | None
    limit_at: datetime | None
    adjustable: bool
    lead_days: int
    trouble: str = Field(description="Why the provider did not tell, or not all.")
    measured_at: datetime | None
    used: float | None
    state: str = Field(description="reached, due, soon, steady or unknown.")
    outlook: str
    reaches: datetime | None = Field(description="The day in the middle; null where none is foreseen.")
    earliest: datetime | None
    latest: datetime | None
    horizon: datetime | None = Field(description="As far ahead as was looked.")
    seconds_left: float | None
    per_day: float | None
    request: QuotaRequest | None


class Forgotten(Value):
    """What is followed no longer."""

    id: UUID


class QuotaDay(Value):
    """The most that was used on a day."""

    day: str
    used: float
    limit: float | None


class WholeQuota(Quota):
    """One quota with its days and its requests."""

    days: list[QuotaDay]
    requests: list[QuotaRequest]
