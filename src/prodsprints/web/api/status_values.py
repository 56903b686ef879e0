"""What the API takes and gives about watched services and the public status page."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from prodsprints.controls.integrations import pace, services
from prodsprints.controls.integrations.health import shown
from prodsprints.incidents.publishing import Stage
from prodsprints.kernel import clock
from prodsprints.web.api.values import Request, Value

Level = Annotated[
    Literal["up", "degraded", "down", "unknown"], Field(description="Unknown: nobody looked, or not for long enough.")
]


class Day(Value):
    """One day (UTC): the seconds at each level, and those that are over and were not measured."""

    day: date
    up_seconds: float
    degraded_seconds: float
    down_seconds: float
    unmeasured_seconds: float


class PublicService(Value):
    """A service that is marked public."""

    name: str
    level: Level
    since: datetime | None
    seen_at: datetime | None
    interval_seconds: float
    available_percent: float | None = Field(description="Of the measured time, cut off; null if none was measured.")
    measured_percent: float
    days: list[Day]


class Outage(Value):
    """A time in which a service was not as it should be. Without a known end it lasted until `ended_at` at least."""

    id: UUID
    service: str
    level: Literal["degraded", "down"]
    began_at: datetime
    ended_at: datetime | None
    end_is_known: bool
    detected_by: Literal["probe", "guard", "platform"]
    words: str


class Update(Value):
    """One thing that was told of an incident."""

    id: UUID
    stage: Stage
    words: str
    at: datetime


class PublicIncident(Value):
    """An incident that somebody published: its updates, the newest first."""

    title: str
    stage: Stage
    published_at: datetime
    updates: list[Update]


class Status(Value):
    """What anybody may read; `level` is the worst of what is known."""

    level: Level
    at: datetime
    unmeasured: int = Field(description="How many services nobody has looked at for too long.")
    services: list[PublicService]
    outages: list[Outage]
    incidents: list[PublicIncident]


class NewService(Request):
    """A service to watch. Without `expected_status` any 2xx will do."""

    name: Annotated[str, Field(max_length=200)]
    url: Annotated[str, Field(max_length=2_000)]
    expected_status: int | None = None
    interval_seconds: float = services.INTERVAL_SECONDS
    public: bool = Field(default=False, description="Whether it is on the public status page.")


class Service(Value):
    """A service that is watched; `words` say what was wrong at the last look."""

    id: UUID
    kind: services.Kind
    name: str
    url: str | None
    expected_status: int | None
    interval_seconds: float
    public: bool
    level: Level
    since: datetime | None
    seen_at: datetime | None
    seen_seconds: float | None
    words: str

    @staticmethod
    def of(service: services.Service) -> Service:
        """As it stands now."""
        gap = pace.longest_gap_seconds(service.interval_seconds)
        standing = service.standing
        return Service(
            id=service.id,
            kind=service.kind,
            name=service.name,
            url=service.url,
            expected_status=service.expected_status,
            interval_seconds=service.interval_seconds,
            public=service.is_public,
            level=shown(standing, clock.now(), longest_gap_seconds=gap).value,
            since=standing.since if standing.seen_at else None,
            seen_at=standing.seen_at,
            seen_seconds=service.seen_seconds,
            words=service.seen_words,
        )


class NewUpdate(Request):
    """What everybody is told of an incident now. The first one publishes it, under `title` or its own title."""

    stage: Stage = "investigating"
    words: Annotated[str, Field(max_length=4_000)]
    title: Annotated[str | None, Field(max_length=500)] = None
