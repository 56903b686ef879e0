"""Opaque cursors: where a listing goes on, in a form that clients pass back unread."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

from prodsprints.release.records import Position
from prodsprints.web.errors import InvalidRequestError

LONGEST = 120


def encode(position: Position) -> str:
    """The cursor for a listing that goes on after `position`."""
    moment, id = position
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {id}".encode()).decode().rstrip("=")


def decode(cursor: str) -> Position:
    """The position in `cursor`. Raises InvalidRequestError for anything that `encode` did not make."""
    try:
        if len(cursor) > LONGEST:
            raise ValueError
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        moment, _, id = text.partition(" ")
        position = datetime.fromisoformat(moment), UUID(id)
        if position[0].tzinfo is None or encode(position) != cursor:
            raise ValueError
    except (ValueError, binascii.Error):
        raise InvalidRequestError(
            "The cursor was not made by this API.", next_step="Pass `next` of the page before, or leave it out."
        ) from None
    return position
