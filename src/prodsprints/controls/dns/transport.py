"""HTTP over our own name resolution: an httpx transport that connects to what the resolver and the pins say."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable

import httpcore
import httpx

from prodsprints.controls.dns.errors import BadPinError
from prodsprints.controls.dns.pins import PinnedResolver, Pins
from prodsprints.controls.dns.resolver import Origin, Resolves
from prodsprints.kernel.errors import ProdSprintsError

_CONNECT_SECONDS = 10.0


class Transport(httpx.HTTPTransport):
    """Connects by `resolver`, and by `pins` where DNS is gone; TLS is checked against the name in either case.

    `mark` is told, in a sentence, whenever a connection is made by a stale or a pinned address. Through a `proxy` only
    its own name is resolved here: the others are its matter.
    """

    def __init__(
        self,
        resolver: Resolves,
        pins: Pins,
        *,
        trust: ssl.SSLContext,
        mark: Callable[[str], None] = lambda _: None,
        proxy: httpx.Proxy | None = None,
        max_connections: int = 32,
    ) -> None:
        super().__init__(verify=trust)
        self._pins = pins
        # httpx hands no network backend on to httpcore, whose pool this transport only wraps.
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust,
            max_connections=max_connections,
            proxy=httpcore.Proxy(str(proxy.url), auth=proxy.raw_auth) if proxy else None,
            network_backend=_Backend(PinnedResolver(resolver, pins), mark),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises BadPinError for a pinned name without TLS: nothing would vouch for who answers there."""
        if request.url.scheme != "https" and self._pins.of_name(request.url.host):
            raise BadPinError(
                f"{request.url.host} is pinned and would be reached without TLS.", next_step="Use an https:// address."
            )
        return super().handle_request(request)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, names: PinnedResolver, mark: Callable[[str], None]) -> None:
        self._names = names
        self._mark = mark
        self._tcp = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        deadline = time.monotonic() + (_CONNECT_SECONDS if timeout is None else timeout)
        try:
            answer = self._names.resolve(host, within_seconds=deadline - time.monotonic())
        except ProdSprintsError as error:
            raise httpcore.ConnectError(f"{error.what} {error.why}".strip()) from error
        if answer.origin is Origin.PINNED:
            self._mark(f"{host} is not resolved by any DNS server; its pinned address is used.")
        elif answer.origin is Origin.STALE:
            self._mark(str(answer))
        trouble: Exception = httpcore.ConnectTimeout(f"{host} was not resolved in time.")
        for tried, address in enumerate(answer.addresses):
            share = (deadline - time.monotonic()) / (len(answer.addresses) - tried)
            if share <= 0:
                break
            try:
                return self._tcp.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise trouble
