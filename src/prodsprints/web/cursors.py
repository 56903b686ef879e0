"""Opaque cursors: where a listing goes on, in a form that clients pass back unread."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from prodsprints.web.errors import InvalidRequestError

LONGEST = 64


def encode(moment: datetime) -> str:
    """The cursor for a listing that goes on before `moment`."""
    return base64.urlsafe_b64encode(moment.isoformat().encode()).decode().rstrip("=")


def decode(cursor: str) -> datetime:
    """The moment in `cursor`. Raises InvalidRequestError for anything that `encode` did not make."""
    try:
        if len(cursor) > LONGEST:
            raise ValueError
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or encode(moment) != cursor:
            raise ValueError
    except (ValueError, binascii.Error):
        raise InvalidRequestError(
            "The cursor was not made by this API.", next_step="Pass `next` of the page before, or leave it out."
        ) from None
    return moment
