"""Which addresses the health monitor asks: those that a user declared, and never the metadata service of a cloud."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from prodsprints.controls.integrations.errors import ForbiddenAddressError, ServiceInputError
from prodsprints.kernel.redaction import Redactor

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST_URL = 500

_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        # AWS and most others; AWS on IPv6; Azure's wire server; Alibaba; Oracle
        ("169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    )
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"})
_redactor = Redactor()


def checked(url: str, *, inward: bool) -> str:
    """`url` as it is asked for. Raises ServiceInputError, ForbiddenAddressError.

    `inward`: it may lie on this machine or in its network, as only the platform's own tenant may ask.
    """
    if not url or len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise _refused("The address is empty, too long, or holds what no address does.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused("The address cannot be read.") from None
    if parts.scheme not in {"http", "https"}:
        raise _refused("The address begins with neither http:// nor https://.")
    if not host or host.startswith(".") or port == 0:
        raise _refused("The address names no host.")
    if "@" in parts.netloc:
        raise _refused("The address holds a user's name or password.", "It would be shown to whoever reads the list.")
    if parts.fragment:
        raise _refused("The address ends with a #fragment, which no server sees.")
    if _redactor.text(url) != url:
        raise _refused("The address holds what looks like a secret.", "It would be shown to whoever reads the list.")
    if host.rstrip(".").lower() in _METADATA_NAMES:
        raise forbidden(host)
    literal = _literal(host)
    if literal is not None and not may_ask(literal, inward=inward):
        raise forbidden(host)
    return url


def refuse_where_it_leads(host: str, resolve: Callable[[str], tuple[str, ...]], *, inward: bool) -> None:
    """Raises ForbiddenAddressError when `host` is nowhere but where nothing is asked; the probe looks again itself."""
    found = [ipaddress.ip_address(address) for address in resolve(host)]
    if found and not any(may_ask(address, inward=inward) for address in found):
        raise forbidden(host)


def may_ask(address: Address, *, inward: bool) -> bool:
    """Whether `address` may be asked at all, and by somebody who is `inward` or not."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _translated(address)
        if inner is not None:
            return may_ask(inner, inward=inward)
    never = address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA
    if never or (isinstance(address, ipaddress.IPv4Address) and (address in _THIS_NETWORK or address.is_reserved)):
        return False
    return inward or address.is_global


def forbidden(host: str) -> ForbiddenAddressError:
    """The refusal to ask `host`."""
    return ForbiddenAddressError(
        f"{host[:100]} is not asked.",
        why="It is link-local, a cloud's metadata service, or inside the network of the platform.",
        next_step="Give the address at which the service's users reach it.",
    )


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """What NAT64 makes of it."""
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _TRANSLATED else None


def _refused(what: str, why: str = "") -> ServiceInputError:
    return ServiceInputError(what, why=why, next_step="Give one such as https://shop.example.com/health.")
