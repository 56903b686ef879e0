"""What the API takes and gives about notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from prodsprints.notify.message import LONGEST_BODY, LONGEST_SUBJECT, Severity
from prodsprints.notify.outbox import Outcome, State
from prodsprints.web.api.values import Request, Value


class NewNotification(Request):
    """Something to tell an audience."""

    audience: Annotated[str, Field(min_length=1, max_length=60, description="Such as `#ops`.")]
    text: Annotated[str, Field(max_length=4 * LONGEST_BODY, description=f"Plain text, {LONGEST_BODY} characters.")]
    subject: Annotated[
        str | None, Field(max_length=4 * LONGEST_SUBJECT, description="The text's first line if none is given.")
    ] = None
    severity: Severity = "info"
    dedupe_key: Annotated[
        str | None, Field(max_length=200, description="The same key again within ten minutes is one notification.")
    ] = None


class Notification(Value):
    """A message in the outbox, and where it stands."""

    id: UUID
    audience: str
    severity: Severity
    subject: str
    body: str
    dedupe_key: str | None
    requested_by: str
    state: Annotated[State, Field(description="`dead`: nothing delivered it, and it is not tried any more.")]
    rounds: Annotated[int, Field(description="How often all of its channels were tried.")]
    next_try_at: datetime | None
    reason: Annotated[str, Field(description="Why it waits or is dead: what each channel said last.")]
    delivered_by: Annotated[str | None, Field(description="The channel that took it.")]
    delivered_after_seconds: float | None
    created_at: datetime
    ended_at: datetime | None


class NotificationAttempt(Value):
    """One channel, asked once."""

    channel: str
    outcome: Annotated[Outcome, Field(description="`refused`: it will never take it; `skipped`: it was not asked.")]
    words: str
    seconds: float
    at: datetime


class NotificationInFull(Notification):
    """The same with every attempt, in order."""

    attempts: list[NotificationAttempt]


class Audience(Value):
    """Who can be told something, and by which channels, in order."""

    audience: str
    channels: list[str]
