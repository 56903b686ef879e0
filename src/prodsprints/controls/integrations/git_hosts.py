"""What this machine's operator says of Git hosts: credentials by reference, and how old a mirror may be.

It stands in `git-hosts.yaml` below the home, never in a repository: who is released does not say how strictly.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from prodsprints.controls.integrations.git_errors import HostsFileError
from prodsprints.kernel import documents
from prodsprints.kernel.validation import explain

FILE_NAME = "git-hosts.yaml"
TOKENS = "PRODSPRINTS_GIT_TOKEN"
"""How a variable is called that a credential may be in: `prodsprints up` passes those on, to its worker alone."""

_LONGEST_TOKEN = 4_096
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _age(value: Any) -> Any:
    found = re.fullmatch(r"(\d{1,6})([smhd])", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("should be an age such as 90m, 24h or 7d.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _variable(value: str) -> str:
    if re.fullmatch(TOKENS + r"[A-Z0-9_]{0,60}", value) is None:
        raise ValueError(f"should be the name of a variable that begins with {TOKENS}.")
    return value


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class Host:
    """One host. Only releases of `tenants` are given its credential, and fall under what it allows.

    `mirror_max_age` is how old the mirror may be when a branch is released from it; without it, no branch is.
    """

    tenants: tuple[str, ...] = ("default",)
    username: str = "x-access-token"
    token_file: Path | None = None
    token_env: Annotated[str, AfterValidator(_variable)] | None = None
    mirror_max_age: Annotated[timedelta | None, BeforeValidator(_age)] = None
    plain_http: bool = False


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class _File:
    hosts: dict[str, Host] = field(default_factory=dict)


_FILE = TypeAdapter(_File)
_UNNAMED = Host(tenants=())


@dataclass(frozen=True)
class Hosts:
    """All of them, by `host` or `host:port`."""

    named: Mapping[str, Host] = field(default_factory=dict)

    def of(self, place: str, tenant: str) -> Host | None:
        """What is said of the host at `place` to that tenant; None where nothing is."""
        found = self.named.get(place)
        return found if found is not None and tenant in found.tenants else None


def read(home: Path) -> Hosts:
    """The file as it stands now; without one, nothing is said of any host. Raises HostsFileError."""
    path = home / FILE_NAME
    try:
        found = path.stat()
        document = documents.read(path, name=FILE_NAME)
    except FileNotFoundError:
        return Hosts()
    except OSError as error:
        raise HostsFileError(
            f"{path} cannot be read: {error.strerror}.", next_step="Let the worker's user read it."
        ) from None
    if found.st_uid not in {0, os.geteuid()} or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise HostsFileError(
            f"{path} can be changed by other users than the worker's.",
            why="It names the credentials that are given to Git hosts.",
            next_step=f"chmod 600 {path}, and make the worker's user its owner.",
        )
    try:
        return Hosts(_FILE.validate_python(document.value or {}).hosts)
    except ValidationError as error:
        raise HostsFileError("\n".join(explain(error, _FILE, document)), next_step=f"Correct {path}.") from None


def token(place: str, host: Host, environment: Mapping[str, str] = os.environ) -> str | None:
    """The secret that `host` refers to, None if it refers to none. Raises HostsFileError, without the secret."""
    if host.token_file is None and host.token_env is None:
        return None
    try:
        if host.token_file is not None:
            with host.token_file.open(encoding="utf-8") as stream:
                text, where = stream.read(_LONGEST_TOKEN + 1).strip(), str(host.token_file)
        else:
            text, where = environment.get(str(host.token_env), ""), f"the variable {host.token_env}"
    except (OSError, UnicodeError) as error:
        raise HostsFileError(
            f"The credential of {place} cannot be read.",
            why=f"{host.token_file}: {getattr(error, 'strerror', None) or 'it is no text'}.",
            next_step=f"Correct `token_file` in {FILE_NAME}, or let the worker's user read that file.",
        ) from None
    if not text or len(text) > _LONGEST_TOKEN or not text.isprintable():
        raise HostsFileError(
            f"The credential of {place} is no single line of text.",
            why=f"It is taken from {where}.",
            next_step=f"Put the token there, or correct {FILE_NAME}.",
        )
    return text
