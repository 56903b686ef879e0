"""Addresses of remote repositories as people type them: which are fetched from, and why the others are refused."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from prodsprints.controls.integrations.addresses import may_ask
from prodsprints.controls.integrations.git_errors import BadAddressError

_LONGEST = 2_048
_NEXT = "Give it as https://host/owner/repository.git, or the path of a clone on this machine."
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::)|[^/\s]+@[^/\s]+:")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
_PATH = re.compile(r"(/[A-Za-z0-9._~+@-]+)+")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Address:
    """A remote repository: its normal `url`, the parts of that, and the `name` that its path ends with."""

    url: str
    scheme: str
    host: str
    port: int
    name: str

    @property
    def place(self) -> str:
        """The host as people write it: with its port, if that is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def is_remote(text: str) -> bool:
    """Whether `text` is meant as an address, not as a path on this machine."""
    return _REMOTE.match(text) is not None


def parse(text: str) -> Address:
    """The address that `text` is. Raises BadAddressError, which repeats nothing that may be a secret."""
    if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise BadAddressError("The address has letters or a length that none has.", next_step=_NEXT)
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or ""), parts.port
    except ValueError:
        raise BadAddressError("The address cannot be read.", next_step=_NEXT) from None
    if "://" not in text or parts.scheme not in _DEFAULT_PORTS:
        raise BadAddressError(
            "A remote repository is fetched by https:// only.",
            why="Other ways to name one (ssh://, git@host:, file://, ext::) run programs or read this machine's files.",
            next_step=f"{_NEXT} The credential that the host asks for is named in git-hosts.yaml.",
        )
    if "@" in parts.netloc:
        raise BadAddressError(
            "The address carries a user name or a password.",
            why="Addresses are shown on pages and written to logs.",
            next_step="Give it without them, make that credential invalid, and name a new one in git-hosts.yaml.",
        )
    if parts.query or parts.fragment or not _PATH.fullmatch(path := parts.path.rstrip("/")) or ".." in path.split("/"):
        raise BadAddressError("The address does not end with a repository's path.", next_step=_NEXT)
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    _check_host(host)
    address = Address("", parts.scheme, host, port, path.rsplit("/", 1)[1].removesuffix(".git"))
    return Address(f"{parts.scheme}://{address.place}{path}", parts.scheme, host, port, address.name)


def check_addresses(host: str, found: Iterable[str], *, named: bool) -> None:
    """Refuse a host that leads to where clouds hand out credentials or, unless the operator `named` it, inwards."""
    for text in found:
        ip = ipaddress.ip_address(text.partition("%")[0])
        if not may_ask(ip, inward=named):
            raise BadAddressError(
                f"{host} is at {ip}, where no repository is fetched from.",
                why="This machine, its network and its cloud's credentials answer at such addresses.",
                next_step="Give the Git host's own name; one inside this network has to be named in git-hosts.yaml.",
            )


def _check_host(host: str) -> None:
    literal = ":" in host or _NUMBER.fullmatch(host.rsplit(".", 1)[-1]) is not None
    try:
        if literal:
            ipaddress.ip_address(host)  # what only resembles one, such as 2852039166, some resolvers take for one
        elif not _HOST.fullmatch(host):
            raise ValueError
    except ValueError:
        raise BadAddressError("The address names no host.", next_step=_NEXT) from None
