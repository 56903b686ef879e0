"""One look at a service over HTTP: bounded in time, size and redirects, and only at addresses that may be asked."""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from prodsprints.controls.dns.resolver import Resolves
from prodsprints.controls.integrations import addresses
from prodsprints.controls.integrations.errors import ForbiddenAddressError
from prodsprints.controls.integrations.health import Outcome
from prodsprints.guard import Attempt, Bulkhead, Guard, GuardError, Retry
from prodsprints.kernel.errors import ProdSprintsError

MOST_AT_ONCE = 16
GUARD = "health probe"
"""What the guard of the looks is called, among those of the platform."""

_MOST_BYTES = 64 * 1024
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS: dict[bytes | str, bytes | str] = {"User-Agent": "prodsprints-health", "Accept": "*/*"}


@dataclass(frozen=True)
class Question:
    """What is asked: `url` must answer `expected_status`, 2xx if None, within the time, and is slow after part of it.

    `inward`: see `addresses`.
    """

    url: str
    expected_status: int | None
    timeout_seconds: float
    slow_seconds: float
    inward: bool


@dataclass(frozen=True)
class Look:
    """What was seen; `words` name no address, since anybody may read them. `settled`: see `health.Observation`."""

    outcome: Outcome
    seconds: float
    words: str = ""
    settled: bool = False


class _RefusedError(Exception):
    """The service was found, and not asked any further."""


# Also our own refusals: the circuit of the guard counts none of them.
_FAILURES = (
    *(httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError),
    *(OSError, ProdSprintsError, _RefusedError),
)


class Prober:
    """Asks services over HTTP, each time over a new connection: one that is kept says nothing of who listens now.

    What is wrong with a service is the answer of a look and no failure of the guard, whose bulkhead and deadlines
    bound what all looks together cost.
    """

    def __init__(self, names: Resolves, *, trust: ssl.SSLContext | None = None) -> None:
        self._names = names
        self._trust = trust or httpx.create_ssl_context()
        self._guards: dict[float, Callable[[Question], Look]] = {}
        self._bulkhead = Bulkhead(2 * MOST_AT_ONCE)

    def look(self, question: Question) -> Look:
        """Ask once. Never raises."""
        began = time.monotonic()
        try:
            return self._guarded(question.timeout_seconds)(question)
        except GuardError as error:
            return Look(Outcome.FAILED, time.monotonic() - began, _words(error))

    def _guarded(self, seconds: float) -> Callable[[Question], Look]:
        if seconds not in self._guards:
            guard = Guard(GUARD, deadline_seconds=seconds, retry=Retry.never(), bulkhead=self._bulkhead)
            self._guards[seconds] = guard.with_attempt(self._look)
        return self._guards[seconds]

    def _look(self, attempt: Attempt, question: Question) -> Look:
        began = time.monotonic()
        end = began + attempt.remaining_seconds
        try:
            status = self._follow(question, end)
            seconds = time.monotonic() - began
        except _FAILURES as error:
            return Look(Outcome.FAILED, time.monotonic() - began, _words(error))
        wanted = question.expected_status
        if status != wanted and not (wanted is None and httpx.codes.is_success(status)):
            return Look(Outcome.FAILED, seconds, f"It answered {status} in place of {wanted or '2xx'}.")
        if seconds > question.slow_seconds:
            return Look(Outcome.SLOW, seconds, "It answers slowly.")
        return Look(Outcome.WELL, seconds)

    def _follow(self, question: Question, end: float) -> int:
        url = question.url
        for _ in range(1 + _MOST_REDIRECTS):
            status, location = self._ask(url, question.inward, end)
            if status not in _REDIRECTS or status == question.expected_status or not location:
                return status
            url = _same_host(url, location)
        raise _RefusedError(f"It redirected more than {_MOST_REDIRECTS} times.")

    def _ask(self, url: str, inward: bool, end: float) -> tuple[int, str]:
        backend = _Backend(self._names, inward, end)
        left = max(0.001, end - time.monotonic())
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), left)
        with (
            httpcore.ConnectionPool(ssl_context=self._trust, max_connections=1, network_backend=backend) as pool,
            pool.stream("GET", url, headers=_HEADERS, extensions={"timeout": timeouts}) as response,
        ):
            size = 0
            for chunk in response.iter_stream():
                size += len(chunk)
                if size > _MOST_BYTES:  # it answers; how much it has to say is its own matter
                    break
            location = next((value for name, value in response.headers if name.lower() == b"location"), b"")
            return response.status, location.decode("ascii", "replace")


class _Backend(httpcore.NetworkBackend):
    """Connects to what the resolver says, as far as it may be asked, and ends everything at one moment."""

    def __init__(self, names: Resolves, inward: bool, end: float) -> None:
        self._names = names
        self._inward = inward
        self._end = end
        self._tcp = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - there is one end for everything
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        answer = self._names.resolve(host.strip("[]"), within_seconds=_left(self._end))
        may = [
            address
            for address in answer.addresses
            if addresses.may_ask(ipaddress.ip_address(address), inward=self._inward)
        ]
        if not may:
            raise addresses.forbidden(host)
        trouble: Exception = httpcore.ConnectTimeout()
        for tried, address in enumerate(may):
            share = _left(self._end) / (len(may) - tried)
            try:
                stream = self._tcp.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
            else:
                return _Stream(stream, self._end)
        raise trouble


class _Stream(httpcore.NetworkStream):
    """A connection of which each read ends in time: a service that sends a byte now and then would hold it for ever."""

    def __init__(self, stream: httpcore.NetworkStream, end: float) -> None:
        self._stream = stream
        self._end = end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - see _Backend
        return self._stream.read(max_bytes, _left(self._end))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - see _Backend
        self._stream.write(buffer, _left(self._end))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - see _Backend
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(self._end)), self._end)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left


def _same_host(url: str, location: str) -> str:
    """Where a redirect leads, if that is on the host that was declared. Raises _RefusedError."""
    try:
        there = urljoin(url, location)
        before, after = urlsplit(url), urlsplit(there)
        same = (after.hostname, after.port) == (before.hostname, before.port) and "@" not in after.netloc
        same = same and after.scheme in {"https", before.scheme}
    except ValueError:
        same = False
    if not same or len(there) > addresses.LONGEST_URL or not there.isascii():
        raise _RefusedError("It redirected to another host, which nobody declared.")
    return there.partition("#")[0]


_WORDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (ForbiddenAddressError, "Its name leads to an address that is never asked."),
    ((httpcore.TimeoutException, GuardError), "It did not answer in time."),
    (httpcore.ConnectError, "It refused the connection, or cannot be reached."),
    (ProdSprintsError, "Its name is not found."),
)


def _words(error: Exception) -> str:
    """What went wrong, without a name or an address in it."""
    if isinstance(error, _RefusedError):
        return str(error)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "Its certificate is not valid."
        cause = cause.__cause__ or cause.__context__
    found = (words for kinds, words in _WORDS if isinstance(error, kinds))
    return next(found, "It ended the connection before it had answered.")
