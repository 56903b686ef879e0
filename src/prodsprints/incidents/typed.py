"""What a person typed into a form or a request: bounded, printable, and refused in words they understand."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from prodsprints.kernel.clock import iso
from prodsprints.kernel.errors import UsageError

LONGEST_PROMISE = timedelta(days=366)
"""For how long a person can sign that something holds, or will be borne: after a year it is looked at again."""

_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def line(text: str, name: str, longest: int = 120) -> str:
    """One line of text, `name`d in the message. Raises UsageError when it is empty, too long, or not plain text."""
    return paragraphs(" ".join(text.split()), name, longest)


def paragraphs(text: str, name: str, longest: int) -> str:
    """Text of several lines, with one kind of line ending. Raises UsageError as `line` does."""
    clean = text.replace("\r\n", "\n").replace("\t", " ").replace("\xa0", " ").strip()
    if not clean:
        raise UsageError(f"The {name} is empty.", next_step="Write it down: whoever reads this later was not there.")
    if len(clean) > longest:
        raise UsageError(
            f"The {name} is longer than {longest} characters.", next_step="Shorten it, and name where the rest is."
        )
    if not all(part.isprintable() for part in clean.split("\n")):
        raise UsageError(f"The {name} holds control characters.", next_step="Write plain text.")
    return clean


def environment(name: str) -> str:
    """The name of an environment. Raises UsageError for anything that cannot be one."""
    if not _ENVIRONMENT.fullmatch(name):
        raise UsageError(
            f"{name[:60]!r} is no environment.",
            next_step="Name one such as `production`; `prodsprints status` lists them.",
        )
    return name


def until(expires_at: datetime, now: datetime) -> datetime:
    """When something ends that a person promises. Raises UsageError when that is past, or further than a year away."""
    if expires_at.tzinfo is None:
        raise UsageError("The expiry has no time zone.", next_step="Give one such as 2027-01-31T00:00:00Z.")
    if expires_at <= now:
        raise UsageError(f"{iso(expires_at)} is over.", next_step="Give an expiry that is still to come.")
    if expires_at - now > LONGEST_PROMISE:
        raise UsageError(
            f"{iso(expires_at)} is more than {LONGEST_PROMISE.days} days away.",
            next_step="Give an expiry within a year: then somebody looks at it again.",
        )
    return expires_at
