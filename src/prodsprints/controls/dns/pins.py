"""Pinned addresses of critical services: where to connect when DNS is gone, the certificate still checked by name."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prodsprints.controls.dns.errors import BadPinError, NameNotFoundError, NoServerAnswersError
from prodsprints.controls.dns.resolver import WITHIN_SECONDS_IF_KNOWN, Answer, Origin, Resolves
from prodsprints.controls.dns.servers import canonical

_MOST_ADDRESSES = 16
_REST_SECONDS = 30.0  # for so long nobody is asked again for a pinned name that nobody found


@dataclass(frozen=True)
class Pins:
    """Which names are pinned, and to which addresses.

    A pin says where to knock, never whom to trust: it is used for HTTPS only, where the certificate has to speak for
    the name. So a wrong or an outdated pin costs a connection, and gives nothing away.
    """

    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def of(stated: Mapping[str, Sequence[str]]) -> Pins:
        """The pins as somebody stated them. Raises BadPinError, BadNameError."""
        return Pins({canonical(name): _addresses(name, addresses) for name, addresses in stated.items()})

    def of_name(self, name: str) -> tuple[str, ...]:
        """The addresses to which `name` is pinned, if it is."""
        return self.addresses.get(canonical(name), ()) if self.addresses else ()


class PinnedResolver:
    """What `resolver` finds, and the pinned addresses when it finds nothing, or only what is stale."""

    def __init__(self, resolver: Resolves, pins: Pins, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._resolver = resolver
        self._pins = pins
        self._clock = clock
        self._rests_until: dict[str, float] = {}

    def resolve(self, name: str, *, within_seconds: float) -> Answer:
        """The addresses to try, in this order. Raises as the resolver does for a name without a pin."""
        pinned = self._pins.of_name(name)
        if not pinned:
            return self._resolver.resolve(name, within_seconds=within_seconds)
        if self._clock() < self._rests_until.get(name, -math.inf):
            return Answer(name, pinned, 0.0, Origin.PINNED)
        try:
            # Half of the time is for the connection.
            answer = self._resolver.resolve(name, within_seconds=min(WITHIN_SECONDS_IF_KNOWN, within_seconds / 2))
        except (NoServerAnswersError, NameNotFoundError):
            # Also for a name that is said not to exist: a zone that was emptied by mistake is an outage as well.
            self._rests_until[name] = self._clock() + _REST_SECONDS
            return Answer(name, pinned, 0.0, Origin.PINNED)
        if answer.origin is not Origin.STALE:
            return answer
        further = (address for address in pinned if address not in answer.addresses)
        return replace(answer, addresses=(*answer.addresses, *further))


def _addresses(name: str, stated: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(stated) <= _MOST_ADDRESSES:
        raise BadPinError(
            f"{name} is pinned to {len(stated)} addresses.", next_step=f"Name one to {_MOST_ADDRESSES} addresses."
        )
    try:
        return tuple(str(ipaddress.ip_address(address)) for address in stated)
    except ValueError:
        raise BadPinError(
            f"{name} is pinned to what is no IP address.", next_step="Name addresses, such as 192.0.2.10."
        ) from None
