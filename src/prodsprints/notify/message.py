"""What is to be told, to whom: bounded, printable, and refused in words where it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from prodsprints.notify.errors import MessageInputError

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

LONGEST_SUBJECT = 200
LONGEST_BODY = 4_000
_SUBJECT_OF_TEXT = 120
_LONGEST_KEY = 200
_AUDIENCE = re.compile(r"[#@][a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Message:
    """Something to tell an audience. Of several with one `dedupe_key` within its window, one is told."""

    audience: str
    severity: Severity
    subject: str
    body: str = ""
    dedupe_key: str | None = None

    def __post_init__(self) -> None:
        refuse_no_audience(self.audience)
        if self.severity not in SEVERITIES:
            raise MessageInputError(
                f"{str(self.severity)[:40]!r} is no severity.", next_step=f"Give one of {', '.join(SEVERITIES)}."
            )
        _refuse("subject", self.subject, LONGEST_SUBJECT, lines=False)
        if self.body:
            _refuse("text", self.body, LONGEST_BODY, lines=True)
        if self.dedupe_key is not None:
            _refuse("dedupe key", self.dedupe_key, _LONGEST_KEY, lines=False)

    @staticmethod
    def of(
        audience: str,
        text: str,
        *,
        severity: Severity = "info",
        subject: str | None = None,
        dedupe_key: str | None = None,
    ) -> Message:
        """The message of a `text`, with the first line for its subject if none is given.

        Raises MessageInputError for what is empty, too long, or not plain text.
        """
        clean = text.replace("\r\n", "\n").replace("\t", " ").strip()
        _refuse("text", clean, LONGEST_BODY, lines=True)
        if subject is not None:
            return Message(audience, severity, subject.strip(), clean, dedupe_key)
        short = _fitting(clean.split("\n", 1)[0].strip(), _SUBJECT_OF_TEXT)
        return Message(audience, severity, short, "" if short == clean else clean, dedupe_key)

    @staticmethod
    def about(
        audience: str, severity: Severity, subject: str, body: str = "", *, dedupe_key: str | None = None
    ) -> Message:
        """The message of something that happened, made to fit: what is recorded must not fail for how it is told."""
        plain = "\n".join(_plain(part) for part in body.splitlines()).strip()
        return Message(
            audience,
            severity,
            _fitting(_plain(subject), LONGEST_SUBJECT) or "(no subject)",
            _fitting(plain, LONGEST_BODY),
            dedupe_key,
        )


@dataclass(frozen=True)
class Letter:
    """A message on its way. The same letter bears the same `key`, by whichever channel and however often it comes."""

    id: UUID
    audience: str
    severity: Severity
    subject: str
    body: str
    created_at: datetime

    @property
    def key(self) -> str:
        """What a peer may recognise it by: an idempotency key."""
        return str(self.id)

    @property
    def message_id(self) -> str:
        """The same as an e-mail's Message-ID; it does not depend on the attempt, the machine or the configuration."""
        return f"<{self.id}@notify.prodsprints>"

    @property
    def mark(self) -> str:
        """What a person may recognise it by."""
        return self.id.hex[:8]

    @property
    def text(self) -> str:
        """Subject and body, for channels that know no subject."""
        return f"{self.subject}\n{self.body}" if self.body else self.subject


def refuse_no_audience(name: str) -> None:
    """Raises MessageInputError for what cannot be an audience."""
    if not _AUDIENCE.fullmatch(name):
        raise MessageInputError(
            f"{name[:60]!r} is no audience." if name else "The audience is empty.",
            next_step='Give one such as "#ops", in quotes: a shell takes what follows a bare # for a comment.',
        )


def _plain(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _fitting(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _refuse(name: str, text: str, longest: int, *, lines: bool) -> None:
    if not text.strip():
        raise MessageInputError(f"The {name} is empty.", next_step="Write what there is to tell.")
    if len(text) > longest:
        raise MessageInputError(
            f"The {name} has {len(text)} characters; {longest} are the most.",
            next_step="Shorten it, and name where the rest is.",
        )
    if not all(part.isprintable() for part in (text.split("\n") if lines else [text])):
        raise MessageInputError(
            f"The {name} holds {'control characters' if lines else 'line breaks or other control characters'}.",
            next_step="Write plain text." if lines else "Write one line of plain text.",
        )
