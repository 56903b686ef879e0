"""What the pages' forms share: acting once on what was typed, and keeping it where it could not be meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Form
from starlette.responses import RedirectResponse, Response

from prodsprints.kernel import clock
from prodsprints.kernel.errors import UsageError
from prodsprints.web.errors import IdempotencyMismatchError
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site

Typed = Annotated[str, Form()]
"""A field of a form; what is wrong with it is said by who is asked to act on it, on the form, with the text kept."""
FormId = Annotated[UUID, Form(alias="id")]
"""Came with the form: sent twice, it acts once."""

_SEE_OTHER = 303
_LONGEST_DAYS = 365
_DEFAULT_DAYS = 90


@dataclass(frozen=True)
class Trouble:
    """What is wrong with what was typed, and what to do about it."""

    what: str
    next_step: str


def act(here: Site, caller: Caller, form: UUID, typed: Any, perform: Callable[[UUID], str]) -> Response | Trouble:
    """Do what a form asks for, and lead to the page that `perform` names; or what keeps it from being done."""
    try:
        answer = once(
            here.db,
            caller.tenant_id,
            f"page:{form}",
            [caller.actor, typed],
            lambda id: Answer(_SEE_OTHER, {"to": perform(id)}),
        )
    except IdempotencyMismatchError:
        return Trouble("This form was sent before, with other words.", "Send it again if you mean this as well.")
    if answer.status == _SEE_OTHER:
        return RedirectResponse(answer.body["to"], _SEE_OTHER)
    return Trouble(answer.body["detail"], answer.body["next_step"])


def end_of(day: str) -> datetime:
    """The last second of a day as a form gives it. Raises UsageError."""
    try:
        return datetime.combine(date.fromisoformat(day.strip()), time(23, 59, 59), UTC)
    except ValueError:
        raise UsageError(
            f"{day[:40]!r} is no day." if day.strip() else "The expiry is empty.",
            next_step="Give a day such as 2027-01-31; it lasts until that day ends (UTC).",
        ) from None


@dataclass(frozen=True)
class Days:
    """From when to when an expiry can be, and what stands there at first."""

    first: date
    last: date
    proposed: date

    @staticmethod
    def now() -> Days:
        """As of today."""
        today = clock.now().date()
        return Days(today, today + timedelta(days=_LONGEST_DAYS), today + timedelta(days=_DEFAULT_DAYS))
