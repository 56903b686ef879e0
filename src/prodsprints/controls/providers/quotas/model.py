"""Quotas and the requests to raise them, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from prodsprints.controls.providers.quotas.errors import QuotaInputError
from prodsprints.controls.providers.quotas.forecast import Sample, positive

LEAD_DAYS = 14
"""How long before the limit the request is drafted, where nobody says otherwise: what support tends to take, twice."""

_LONGEST_LEAD_DAYS = 365
_PARTS = {
    "provider": (re.compile(r"[a-z][a-z0-9-]{0,39}"), "a short name in lower case, such as aws"),
    "account": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"), "the account's number, the project, the subscription"),
    "region": (re.compile(r"[a-z0-9-]{0,40}"), "the region's name, such as eu-central-1, or nothing"),
    "service": (re.compile(r"[A-Za-z0-9.-]{0,100}"), "the service's code, such as vpc or compute.googleapis.com"),
    "code": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"), "the quota's code, such as L-F678F1CE"),
}
_LINE = re.compile(r"[^\x00-\x1f\x7f]*")


class Source(StrEnum):
    """Where a limit comes from, and with it who is asked for the use."""

    PROVIDER = "provider"  # its API
    PUBLISHED = "published"  # a profile of ours
    HAND = "hand"


class Kind(StrEnum):
    """What is limited: how much there is at a time, or how much happens in one."""

    RESOURCE = "resource"
    RATE = "rate"


class State(StrEnum):
    """What became of a request: the first three are open, and a quota has one such at most."""

    DRAFTED = "drafted"  # waits for a person
    ASKED = "asked"  # a person sent it; the worker does
    SENT = "sent"  # the provider has it
    GRANTED = "granted"
    DENIED = "denied"
    DROPPED = "dropped"  # by a person

    @property
    def is_open(self) -> bool:
        """Whether it may still raise the limit."""
        return self in {State.DRAFTED, State.ASKED, State.SENT}


@dataclass(frozen=True)
class Place:
    """Which quota it is: where the provider keeps it."""

    provider: str
    account: str
    region: str
    service: str
    code: str

    def checked(self) -> Place:
        """Itself. Raises QuotaInputError for what can be no name."""
        for part, (shape, example) in _PARTS.items():
            value = getattr(self, part)
            if not shape.fullmatch(value):
                raise QuotaInputError(f"{value[:80]!r} can be no quota's {part}.", next_step=f"Give {example}.")
        return self

    def __str__(self) -> str:
        return " ".join(part for part in (self.provider, self.account, self.region, self.service, self.code) if part)


@dataclass(frozen=True)
class Quota:
    """What is allowed somewhere. `limit` is None until the provider said it; `trouble` is why it did not."""

    id: UUID
    place: Place
    name: str
    unit: str
    kind: Kind
    source: Source
    limit: float | None
    limit_at: datetime | None
    adjustable: bool
    lead_days: int
    trouble: str
    measured_at: datetime | None
    created_at: datetime

    @property
    def lead(self) -> timedelta:
        """How long before the limit its request is drafted."""
        return timedelta(days=self.lead_days)


@dataclass(frozen=True)
class Call:
    """A request to a provider's API exactly as it is sent, but for who signs it."""

    method: str
    url: str
    body: dict[str, Any]
    headers: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return {"method": self.method, "url": self.url, "headers": self.headers, "body": self.body}

    @staticmethod
    def from_json(kept: dict[str, Any]) -> Call:
        """What `as_json` made."""
        return Call(kept["method"], kept["url"], kept["body"], kept["headers"])


@dataclass(frozen=True)
class Request:
    """To raise a limit. `call` is None where the provider has no API for it: a person writes to it then."""

    id: UUID
    quota_id: UUID
    state: State
    desired: float
    limit: float
    reason: str
    call: Call | None
    reaches: datetime | None
    person: str | None
    provider_id: str
    provider_status: str
    trouble: str
    created_at: datetime
    asked_at: datetime | None
    sent_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Day:
    """The most that was used on one day, and the limit of that day if it was known."""

    day: date
    used: float
    limit: float | None

    @property
    def sample(self) -> Sample:
        """As the forecast takes it."""
        return Sample(datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC), self.used)


@dataclass(frozen=True)
class Reading:
    """What a provider says of a quota now."""

    limit: float
    name: str
    unit: str
    kind: Kind
    adjustable: bool
    samples: tuple[Sample, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Placed:
    """A request as the provider has it; `state` is sent, granted or denied."""

    id: str
    status: str
    state: State


def named(name: str, unit: str) -> tuple[str, str]:
    """A quota's name and unit, as people may give them. Raises QuotaInputError."""
    for value, what, longest in ((name, "name", 200), (unit, "unit", 40)):
        if len(value) > longest or not _LINE.fullmatch(value):
            raise QuotaInputError(
                f"A {what} is one line of at most {longest} characters.", next_step=f"Give a shorter {what}."
            )
    return name.strip(), unit.strip()


def limited(limit: float) -> float:
    """A limit as a person gives it. Raises QuotaInputError."""
    return positive(limit, "limit")


def leading(days: int) -> int:
    """A lead time. Raises QuotaInputError."""
    if not 1 <= days <= _LONGEST_LEAD_DAYS:
        raise QuotaInputError(
            f"{days} days can be no lead time.", next_step=f"Give a number of days from 1 to {_LONGEST_LEAD_DAYS}."
        )
    return days
