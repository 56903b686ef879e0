"""What the API takes and gives about signatures, incidents, reviews, reports, indicators and contacts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from prodsprints.register.model import Cadence
from prodsprints.web.api.values import Request, Value

_Id = Annotated[str, Field(min_length=1, max_length=60)]
_Line = Annotated[str, Field(min_length=1, max_length=500)]
_Text = Annotated[str, Field(min_length=1, max_length=16_000)]
_Where = Annotated[str, Field(min_length=1, max_length=60, description="The environment; `demo` if none is named.")]
_Until = Annotated[AwareDatetime, Field(description="Until when; within a year.")]
_Person = Annotated[str | None, Field(description="Null once the name was erased.")]
_Signed = Annotated[bool, Field(description="Without its statement in the log it counts for nothing.")]


class NewAttestation(Request):
    """That a row is held which no software can hold."""

    row: _Id
    environment: _Where = "demo"
    evidence: _Text = Field(description="What shows it, or where to look.")
    expires_at: _Until


class Attestation(Value):
    """What somebody signed for."""

    id: UUID
    environment: str
    row: str
    person: _Person
    evidence: str
    expires_at: datetime
    at: datetime
    is_signed: _Signed


class NewAcceptance(Request):
    """That a risk is borne as it is."""

    risk: _Id
    environment: _Where = "demo"
    reason: _Text
    expires_at: _Until


class Acceptance(Value):
    """Who bears a risk, why, and until when; whether it was reopened since, the risk says."""

    id: UUID
    environment: str
    risk: str
    person: _Person
    reason: str
    expires_at: datetime
    at: datetime
    is_signed: _Signed


class NewIncident(Request):
    """That a risk happened."""

    risk: _Id
    rows: list[_Id] = Field(default_factory=list, max_length=200, description="None: all of the risk's.")
    environment: _Where = "demo"
    title: _Line
    what_happened: _Text
    security: bool = False


class Link(Value):
    """The drill that is said to reproduce an incident."""

    row: str
    variant: str
    at: datetime


class Incident(Value):
    """A risk that happened."""

    id: UUID
    environment: str
    risk: str
    rows: list[str] = Field(description="What it contradicts; empty: all rows of the risk.")
    title: str
    what_happened: str
    security: bool
    declared_at: datetime
    declared_by: _Person
    is_signed: _Signed
    links: list[Link]
    closed_at: datetime | None
    closed_by: str | None
    outcome: str | None


class NewLink(Request):
    """Which drill reproduces the incident."""

    row: _Id
    variant: _Id


class Closing(Request):
    """What came of an incident."""

    outcome: _Text


class Planned(Value):
    """When a review is due; null until the first one begins the calendar."""

    kind: Cadence
    of: str
    due: date | None
    last: date | None
    is_overdue: bool


class Point(Value):
    """One point of an agenda: what it is about, and what there is to say."""

    why: str
    about: str
    words: str


class Agenda(Value):
    """What a review has to look at, as things stand."""

    kind: Cadence
    due: date | None
    points: list[Point]


class Review(Value):
    """A review that was held."""

    id: UUID
    kind: Cadence
    due: date
    person: _Person
    attendees: str
    decisions: str
    agenda: list[Point]
    at: datetime
    is_signed: _Signed


class Reviews(Value):
    """The calendar, the agenda of the review that is due first, and the newest reviews that were held."""

    schedule: list[Planned]
    agenda: list[Point]
    items: list[Review]
    next: None = None


class NewReview(Request):
    """That a review was held. Its agenda is put together here, and kept with it."""

    kind: Cadence
    environment: _Where = "demo"
    attendees: _Text = Field(description="Who took part.")
    decisions: _Text


class NewReport(Request):
    """A risk that the register does not know, or not for what it is."""

    title: _Line
    description: _Text


class Step(Value):
    """A stage that is done."""

    stage: str
    person: _Person
    note: str
    at: datetime


class Report(Value):
    """A reported risk, and how far it has come; `stage` is the one that is waited for, `done` after the last."""

    id: UUID
    title: str
    description: str
    stage: str
    due_at: datetime | None
    is_overdue: bool
    escalates_to: Literal["platform", "executive"] | None
    steps: list[Step]


class Advance(Request):
    """The stage that is done now: the one that the report waits for."""

    stage: _Id
    note: _Text


class Day(Value):
    """What an indicator was on one day; null on a day without data."""

    day: date
    value: float | None


class Indicator(Value):
    """A key risk indicator over its window, beside its thresholds; a value that nobody measured is null."""

    id: str
    name: str
    unit: str
    owner: str
    value: float | None
    state: Literal["ok", "warn", "breach", "no-data"]
    direction: Literal["at least", "at most"]
    warn: float
    breach: float
    series: list[Day]


class NewContact(Request):
    """Who is reached where."""

    name: _Line
    reach: _Line = Field(description="An address or a number.")


class Contact(Value):
    """An emergency contact; a reader without a login sees no name, and no address that could be used."""

    role: str
    title: str
    of: str = Field(description="What this role is called for.")
    is_there: bool
    name: str | None
    reach: str
    tested_at: datetime | None
    is_overdue: bool = Field(description="Nobody is kept for it, or they were not reached for too long.")


class ContactTest(Value):
    """A test under way; the code is given this once, to be sent to the contact, who reads it back."""

    role: str
    code: str
    expires_at: datetime


class Code(Request):
    """What the contact read back."""

    code: Annotated[str, Field(min_length=1, max_length=60)]
