"""Which names this server answers to, so that a foreign name that was pointed at it (DNS rebinding) gets nothing."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from prodsprints.kernel.settings import EVERY_ADDRESS, Settings

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Hosts:
    """The host names and the port that belong to this server."""

    def __init__(self, settings: Settings) -> None:
        self._port = settings.port
        self._names = _LOOPBACK | {settings.host.lower()}
        # Bound to every address, any literal address may be ours; a rebound name is never a literal address.
        self._any_literal = settings.host in EVERY_ADDRESS
        if self._any_literal:
            self._names |= {socket.gethostname().lower(), settings.node.lower()}
        self.loopback_only = settings.host.lower() in _LOOPBACK

    def allows(self, host: str, scheme: str = "http") -> bool:
        """Whether `host`, a Host header such as `127.0.0.1:8900`, names this server."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[scheme]
        except (ValueError, KeyError):
            return False
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return False
        return port == self._port and (name in self._names or (self._any_literal and _literal(name)))


def _literal(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
