"""Name resolution as releases use it: one resolver for the process, and connections that go by it."""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Callable, Mapping, Sequence

import httpx

from prodsprints.controls.dns.cache import Bounds
from prodsprints.controls.dns.pins import Pins
from prodsprints.controls.dns.resolver import Resolver
from prodsprints.controls.dns.servers import Server, Servers, of_this_machine
from prodsprints.controls.dns.transport import Transport


@functools.cache
def of_this_process() -> Resolver:
    """What all releases of this worker resolve names by, so that one's answers are the other's cache."""
    return resolver(of_this_machine)


def resolver(
    where: Callable[[], Sequence[Server]],
    *,
    bounds: Bounds | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Resolver:
    """A caching resolver that asks the servers which `where` returns."""
    return Resolver(Servers(where), bounds, clock=clock)


def transport(
    names: Resolver,
    pinned: Mapping[str, Sequence[str]],
    *,
    trust: ssl.SSLContext,
    mark: Callable[[str], None] = lambda _: None,
    proxy: httpx.Proxy | None = None,
) -> Transport:
    """HTTP by `names`, and by the addresses in `pinned` where these find nothing. Raises BadPinError, BadNameError."""
    return Transport(names, Pins.of(pinned), trust=trust, mark=mark, proxy=proxy)
