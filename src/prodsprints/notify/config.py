"""Reads `notify.yaml`: which channels there are, and by which of them each audience is told, in order."""

from __future__ import annotations

import re
import stat
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from prodsprints.kernel import documents
from prodsprints.kernel.documents import Document, Keys
from prodsprints.kernel.validation import explain, nearest
from prodsprints.notify.errors import MessageInputError, NotifyConfigError
from prodsprints.notify.message import refuse_no_audience

FILE_NAME = "notify.yaml"
HERE = ("terminal", "page")
"""The channels that are always there: the log of the worker, and the page of notifications."""

ALWAYS = ("#ops", "#security")
"""The audiences that the platform itself tells something; by the channels of HERE unless the file says otherwise."""

_LONGEST_SECONDS = 10.0
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_EMAIL = re.compile(r"[^@\s<>,;:\"\\()\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_NUMBER = re.compile(r"\+[1-9][0-9]{5,14}")
_SENDER = re.compile(r"\+[1-9][0-9]{5,14}|[A-Za-z0-9 ]{1,11}")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Seconds = Annotated[float, Field(gt=0, le=_LONGEST_SECONDS, allow_inf_nan=False)]
Line = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout_seconds: Seconds = 3.0


class _WithAddress(_Entry):
    """The address is a secret: it stands in a file, or in a variable of the environment."""

    url_file: Line | None = None
    url_env: Line | None = None

    @model_validator(mode="after")
    def _one_address(self) -> _WithAddress:
        if (self.url_file is None) == (self.url_env is None):
            raise ValueError("should name its address by `url_file` or by `url_env`, one of the two")
        return self


class Slack(_WithAddress):
    """An incoming webhook of Slack, or of what understands the same."""

    kind: Literal["slack"]


class Other(_WithAddress):
    """Whatever apprise knows: its address in apprise's form."""

    kind: Literal["apprise"]


class Email(_Entry):
    """An SMTP server that takes mail from us."""

    kind: Literal["email"]
    host: Line
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: Line
    recipients: Annotated[list[Line], Field(min_length=1, max_length=50)]
    username: Line | None = None
    password_file: Line | None = None
    password_env: Line | None = None

    @field_validator("sender")
    @classmethod
    def _a_sender(cls, value: str) -> str:
        return _email(value)

    @field_validator("recipients")
    @classmethod
    def _some_recipients(cls, value: list[str]) -> list[str]:
        return [_email(one) for one in value]

    @model_validator(mode="after")
    def _a_whole_login(self) -> Email:
        named = [one for one in (self.password_file, self.password_env) if one is not None]
        if len(named) > 1 or (self.username is None) != (not named):
            raise ValueError("should name a `username` with its `password_file` or `password_env`, or none of them")
        if self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError("should not send in clear to another machine: set `security` to starttls or tls")
        return self


class Sms(_Entry):
    """Twilio's API for messages, or what understands the same."""

    kind: Literal["sms"]
    account: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{2,64}$")]
    token_file: Line | None = None
    token_env: Line | None = None
    sender: Line
    recipients: Annotated[list[Line], Field(min_length=1, max_length=10)]
    api: Line = "https://api.twilio.com"

    @field_validator("sender")
    @classmethod
    def _a_sender(cls, value: str) -> str:
        if not _SENDER.fullmatch(value):
            raise ValueError("should be a number such as +4915112345678, or up to 11 letters and digits")
        return value

    @field_validator("recipients")
    @classmethod
    def _some_numbers(cls, value: list[str]) -> list[str]:
        if not all(_NUMBER.fullmatch(one) for one in value):
            raise ValueError("should be numbers such as +4915112345678, in quotes")
        return value

    @field_validator("api")
    @classmethod
    def _an_api(cls, value: str) -> str:
        problem = refusal(value)
        if problem:
            raise ValueError(problem)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_token(self) -> Sms:
        if (self.token_file is None) == (self.token_env is None):
            raise ValueError("should name its token by `token_file` or by `token_env`, one of the two")
        return self


Entry = Slack | Email | Sms | Other
_KINDS: Mapping[str, TypeAdapter[Any]] = {
    "slack": TypeAdapter(Slack),
    "email": TypeAdapter(Email),
    "sms": TypeAdapter(Sms),
    "apprise": TypeAdapter(Other),
}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Literal[1]
    channels: dict[str, dict[str, Any]] = {}
    audiences: dict[str, Annotated[list[str], Field(min_length=1, max_length=10)]] = {}


_FILE: TypeAdapter[_File] = TypeAdapter(_File)


@dataclass(frozen=True)
class Config:
    """What the file says: its channels by name, and for each audience the names of its channels, in order."""

    channels: Mapping[str, Entry]
    audiences: Mapping[str, tuple[str, ...]]


def load(path: Path) -> Config:
    """What the file at `path` says; without one, the terminal and the page for the platform's own audiences.

    Raises NotifyConfigError (UsageError for what is not even YAML) with the file's name and line for all that is wrong.
    """
    try:
        refuse_exposed(path)
        document = documents.read(path, name=path.name)
    except FileNotFoundError:
        return Config({}, dict.fromkeys(ALWAYS, HERE))
    return parsed(document)


def parsed(document: Document) -> Config:
    """What `document` says; raises as `load` does."""
    try:
        file = _FILE.validate_python(document.value)
    except ValidationError as error:
        raise _refused(explain(error, _FILE, document)) from None
    problems: list[str] = []
    channels = {name: _entry(document, name, value, problems) for name, value in file.channels.items()}
    for audience, names in file.audiences.items():
        problems += _unmeant(document, audience, names, channels)
    if problems:
        raise _refused(problems)
    told = {name: tuple(names) for name, names in file.audiences.items()}
    known = {name: one for name, one in channels.items() if one is not None}
    return Config(known, dict.fromkeys(ALWAYS, HERE) | told)


def refuse_exposed(path: Path) -> None:
    """Raises NotifyConfigError for a file that others than its owner may read, FileNotFoundError if there is none."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotifyConfigError(
            f"{path} cannot be read: {error.strerror}.", next_step="Let its owner read it."
        ) from None
    if stat.S_ISREG(mode) and mode & 0o077:
        raise NotifyConfigError(
            f"{path} is open to others than its owner (mode {stat.S_IMODE(mode):o}).",
            why="It says who is told what, and how to write in our name.",
            next_step=f"Run `chmod 600 {path}`; change what is secret in it if others were on this machine.",
        )


def refusal(url: str) -> str:
    """Why `url` is none that a message may be sent to; empty if it is one. It is not quoted: it may be a secret."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in ("https", "http") or not host or any(not 0x20 < ord(one) < 0x7F for one in url):
        return "is no address such as https://host/path"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "would be sent in clear to another machine: use https"
    return ""


def _entry(document: Document, name: str, value: dict[str, Any], problems: list[str]) -> Entry | None:
    place: Keys = ("channels", name)
    if not _NAME.fullmatch(name) or name in HERE:
        what = "is always there" if name in HERE else "should be lower-case letters, digits and hyphens"
        problems.append(f"{document.at(place)}: the channel's name `{name[:60]}` {what}.")
        return None
    adapter = _KINDS.get(str(value.get("kind")))
    if adapter is None:
        kinds = ", ".join(_KINDS)
        hint = nearest(str(value.get("kind")), _KINDS) or "."
        problems.append(f"{document.at((*place, 'kind'))}: `channels.{name}.kind` should be one of {kinds}{hint}")
        return None
    try:
        made: Entry = adapter.validate_python(value)
    except ValidationError as error:
        problems += explain(error, adapter, _Below(document, place))
        return None
    return made


def _unmeant(document: Document, audience: str, names: list[str], channels: Mapping[str, object]) -> list[str]:
    try:
        refuse_no_audience(audience)
    except MessageInputError as error:
        return [f"{document.at(('audiences', audience))}: {error.what} {error.next_step}"]
    known = (*channels, *HERE)
    unknown = [
        f"{document.at(('audiences', audience, place))}: there is no channel `{name[:60]}`{nearest(name, known) or '.'}"
        for place, name in enumerate(names)
        if name not in known
    ]
    doubled = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    return unknown + [f"{document.at(('audiences', audience))}: `{name}` stands twice." for name in doubled]


@dataclass(frozen=True)
class _Below:
    document: Document
    place: Keys

    def at(self, path: Keys) -> str:
        return self.document.at((*self.place, *path))

    def line(self, path: Keys) -> int:
        return self.document.line((*self.place, *path))


def _refused(problems: list[str]) -> NotifyConfigError:
    more = f" ({len(problems)} problems in all)" if len(problems) > 1 else ""
    return NotifyConfigError(
        "\n".join(problems[:20]) + more,
        next_step=f"Correct {FILE_NAME} there; docs/how-to/get-notified.md has a whole one.",
    )


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("should be an address such as ops@example.com, without a name")
    return value
