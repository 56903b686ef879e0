"""Asks DNS servers for a name's addresses, each through a guard: the next one when one does not answer in time."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from prodsprints.controls.dns.errors import BadNameError, NameNotFoundError, NoServerAnswersError
from prodsprints.guard import CircuitBreaker, Guard, Rejection, Retry, profile

_ROUNDS_SECONDS = (0.4, 1.6, 4.0)  # each server's time to answer; most need little, a cold recursive one may not
_AVOID_SECONDS = 10.0  # a server that did not answer is asked last for so long
# Nobody waits for one that is dead; one is asked again soon, because without names nothing else can be reached.
_FAILURES_IN_A_ROW = 5
_REST_SECONDS = 1.0
_MOST_ADDRESSES = 16
_LONGEST_NAME = 253


@dataclass(frozen=True)
class Server:
    """One DNS server."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        return self.address if self.port == 53 else f"{self.address} port {self.port}"


@dataclass(frozen=True)
class Found:
    """A server's answer: the addresses, IPv4 first, and for how long they hold."""

    addresses: tuple[str, ...]
    ttl_seconds: float


class NotServedError(Exception):
    """A server answered that it does not answer: SERVFAIL, REFUSED and their like."""


_FAILURES = (dns.exception.DNSException, OSError, NotServedError)


class Servers:
    """DNS servers in order; who did not answer a moment ago is asked last.

    `where` is asked for them with every question: the network under a worker that runs for weeks may change.
    """

    def __init__(self, where: Callable[[], Sequence[Server]], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._where = where
        self._clock = clock
        self._failed_at: dict[Server, float] = {}
        self._guarded: dict[Server, Callable[[dns.name.Name, float], Found]] = {}

    def ask(self, name: str, *, within_seconds: float) -> Found:
        """The addresses of `name`. Raises NameNotFoundError, or NoServerAnswersError when nobody answers in time."""
        deadline = self._clock() + within_seconds
        question = dns.name.from_text(canonical(name))
        trouble: dict[Server, str] = {}
        for longest in _ROUNDS_SECONDS:
            for server in self._in_order():
                seconds = min(longest, deadline - self._clock())
                if seconds <= 0:
                    break
                try:
                    found = self._guard(server)(question, seconds)
                except Rejection as error:
                    trouble.setdefault(server, f"left alone, {error.why.rstrip('.').lower()}")
                except _FAILURES as error:
                    trouble[server] = _words(error, seconds)
                    self._failed_at[server] = self._clock()
                else:
                    self._failed_at.pop(server, None)
                    return found
        raise NoServerAnswersError(
            f"No DNS server answers for {name.rstrip('.')}.",
            why="; ".join(f"{server}: {words}" for server, words in trouble.items()) or "This machine names none.",
            next_step="Check the servers in /etc/resolv.conf, or pin the addresses of a critical service.",
        )

    def _in_order(self) -> list[Server]:
        servers = list(self._where())
        self._guarded = {server: self._guard(server) for server in servers}
        since = self._clock() - _AVOID_SECONDS
        self._failed_at = {server: at for server, at in self._failed_at.items() if server in servers and at > since}
        return sorted(servers, key=lambda server: server in self._failed_at)

    def _guard(self, server: Server) -> Callable[[dns.name.Name, float], Found]:
        return self._guarded.get(server) or _guarded(server)


def _guarded(server: Server) -> Callable[[dns.name.Name, float], Found]:
    guard = Guard.for_provider(
        replace(profile("dns"), name=f"dns {server}"),
        retry=Retry.never(),  # whoever asks goes on to the next server
        breaker=CircuitBreaker(
            failure_threshold=_FAILURES_IN_A_ROW, recovery_timeout=_REST_SECONDS, failures=_FAILURES
        ),
    )
    return guard(functools.partial(_ask, server))


def of_this_machine() -> tuple[Server, ...]:
    """The servers that this machine is configured with, which are none where it has no such configuration."""
    try:
        configured = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return ()
    return tuple(Server(str(address), configured.port) for address in configured.nameservers)


def canonical(name: str) -> str:
    """`name` as it is asked for: absolute, in lower case, in ASCII. Raises BadNameError for what can be no name."""
    try:
        labels = name.rstrip(".").encode("idna") if not name.isascii() else name.rstrip(".").encode()
        text = labels.decode().lower()
        if 0 < len(text) <= _LONGEST_NAME and dns.name.from_text(text):
            return f"{text}."
    except (dns.exception.DNSException, UnicodeError):
        pass
    raise BadNameError(f"{name[:80]!r} can be no host's name.", next_step="Correct the address that it stands in.")


def _ask(server: Server, name: dns.name.Name, seconds: float) -> Found:
    addresses, ttl = _addresses(server, name, dns.rdatatype.A, seconds)
    try:
        six, ttl_six = _addresses(server, name, dns.rdatatype.AAAA, seconds)
    except _FAILURES:
        if not addresses:
            raise
        six, ttl_six = (), ttl
    found = (*addresses[:_MOST_ADDRESSES], *six[:_MOST_ADDRESSES])
    if not found:
        raise NameNotFoundError(
            f"{_plain(name)} has no address.",
            why=f"The DNS server {server} says so.",
            next_step="Check the spelling of the name, and its zone.",
        )
    return Found(found, min(lifetime for lifetime, kind in ((ttl, addresses), (ttl_six, six)) if kind))


def _addresses(
    server: Server, name: dns.name.Name, kind: dns.rdatatype.RdataType, seconds: float
) -> tuple[tuple[str, ...], float]:
    # What does not match the question is waited past: a forged answer must not end the wait for the true one.
    query = dns.message.make_query(name, kind)
    answer, _ = dns.query.udp_with_fallback(
        query, server.address, timeout=seconds, port=server.port, ignore_unexpected=True, ignore_errors=True
    )
    return read(answer)


def read(answer: dns.message.Message) -> tuple[tuple[str, ...], float]:
    """The addresses in an answer, along its chain of aliases, and how long they hold.

    Raises NameNotFoundError for a name that does not exist, NotServedError or DNSException for what is no answer.
    """
    rcode = answer.rcode()
    if rcode == dns.rcode.NXDOMAIN:
        raise NameNotFoundError(
            f"{', '.join(_plain(asked.name) for asked in answer.question) or 'The name'} does not exist.",
            why="A DNS server says so.",
            next_step="Check the spelling of the name, and its zone.",
        )
    if rcode != dns.rcode.NOERROR or not isinstance(answer, dns.message.QueryMessage):
        raise NotServedError(f"answers {dns.rcode.to_text(rcode)}")
    chain = answer.resolve_chaining()
    found = tuple(str(record.address) for record in chain.answer or ())
    return found, float(chain.minimum_ttl) if found else 0.0


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


def _words(error: Exception, seconds: float) -> str:
    if isinstance(error, dns.exception.Timeout):
        return f"no answer in {seconds:.1f} s"
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return str(error) or type(error).__name__
