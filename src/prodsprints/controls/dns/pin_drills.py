"""The drill of R010.4: DNS is gone, and a critical service is still reached, by whoever has its certificate."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.exception
import httpcore
import httpx
import trustme

from prodsprints.controls.dns import names, peers
from prodsprints.controls.dns.errors import BadPinError
from prodsprints.controls.dns.peers import TWISTED, StubResolver
from prodsprints.controls.dns.pins import PinnedResolver, Pins
from prodsprints.controls.dns.resolver import Answer, Resolver
from prodsprints.controls.dns.servers import Server
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.kernel.errors import ProdSprintsError

_ZONE = "service.test"
_NAME = f"www.{_ZONE}"
_PINNED = f"pinned.{_ZONE}"
_MOVED = f"moved.{_ZONE}"
_TWICE = f"twice.{_ZONE}"
_SECONDS = 1.0
_ADDRESS = "127.0.0.1"
_OUTDATED = "127.0.0.2"  # nobody listens there


@dataclass(frozen=True)
class Service:
    """A service by HTTPS, two impostors beside it, and the DNS server that knows where it is."""

    dns: Server
    dns_process: int
    trust: ssl.SSLContext
    port: int
    other_name_port: int
    other_issuer_port: int


@dataclass(frozen=True)
class Caller:
    """An HTTP client, and what it said of how it connects."""

    http: httpx.Client
    marks: list[str] = field(default_factory=list)


@contextmanager
def _service(stage: Stage) -> Iterator[Service]:
    authority, stranger = trustme.CA(), trustme.CA()
    certificates = (
        authority.issue_cert(_PINNED, _NAME, _MOVED, _TWICE),
        authority.issue_cert(f"other.{_ZONE}"),
        stranger.issue_cert(_PINNED),
    )
    files = []
    for number, certificate in enumerate(certificates):
        file = stage.directory / f"{number}.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(file)
        files.append(file)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    records = {"www": _ADDRESS, "pinned": _ADDRESS, "moved": _OUTDATED}
    with _tls_servers(files) as ports, peers.dns_server(stage.directory, _ZONE, records) as (server, process):
        yield Service(server, process, trust, *ports)


@contextmanager
def _tls_servers(files: list[Path]) -> Iterator[list[int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "prodsprints.controls.dns.tls_peer", *map(str, files)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _pinned_client(_: Stage, service: Service) -> Iterator[Caller]:
    resolver = names.resolver(lambda: (service.dns,))
    marks: list[str] = []
    pins = {_PINNED: [_ADDRESS], _NAME: [_OUTDATED], _MOVED: [_ADDRESS], _TWICE: [_OUTDATED, _ADDRESS]}
    transport = names.transport(resolver, pins, trust=service.trust, mark=marks.append)
    with httpx.Client(transport=transport, timeout=5.0) as client:
        yield Caller(client, marks)


@contextmanager
def _bare_client(_: Stage, service: Service) -> Iterator[Caller]:
    """httpx as it is, but for the DNS server that it asks: the machine's own knows nothing of the drill."""
    transport = httpx.HTTPTransport(verify=service.trust)
    transport._pool = httpcore.ConnectionPool(
        ssl_context=service.trust, network_backend=_StubBackend(StubResolver((service.dns,)))
    )
    with httpx.Client(transport=transport, timeout=5.0) as client:
        yield Caller(client)


class _StubBackend(httpcore.SyncBackend):
    def __init__(self, stub: StubResolver) -> None:
        self._stub = stub

    def connect_tcp(self, host: str, *more: Any, **options: Any) -> httpcore.NetworkStream:
        try:
            address = self._stub.resolve(host).addresses[0]
        except dns.exception.DNSException as error:
            raise httpcore.ConnectError(str(error)) from error
        return super().connect_tcp(address, *more, **options)


@contextmanager
def _dns_dies(_: Stage, service: Service) -> Iterator[None]:
    with faults.killed(service.dns_process):
        yield


def _called(
    stage: Stage, caller: Caller, name: str, port: int, *, scheme: str = "https", seconds: float | None = _SECONDS
) -> tuple[bool, str]:
    """Whether a new connection to `name` is answered, and in which words."""
    began = time.monotonic()
    try:
        answer = caller.http.get(f"{scheme}://{name}:{port}/", headers={"Connection": "close"}, timeout=seconds)
        answered, words = answer.text == "hello", f"It answered {answer.status_code} {answer.text[:40]!r}."
    except httpx.TransportError as error:
        answered, words = False, f"{type(error).__name__}: {error}"[:250]
    except ProdSprintsError as error:
        answered, words = False, f"{type(error).__name__}: {error.what}"
    stage.sample(answered, time.monotonic() - began, name)
    return answered, words


def _reaches(name: str) -> Callable[[Stage, Service, Caller], Observation]:
    def look(stage: Stage, service: Service, caller: Caller) -> Observation:
        answered, words = _called(stage, caller, name, service.port)
        return (held if answered else broke)(words)

    return look


def _goes_by_dns(stage: Stage, service: Service, caller: Caller) -> Observation:
    answered, words = _called(stage, caller, _MOVED, service.port)
    return broke(f"Where its pin says, though DNS says {_OUTDATED}: {words}") if answered else held(words)


def _reaches_it_fast(stage: Stage, service: Service, caller: Caller) -> Observation:
    began = time.monotonic()
    answered, words = _called(stage, caller, _PINNED, service.port)
    seconds = time.monotonic() - began
    return (held if answered and seconds < 0.5 else broke)(f"{words} It took {seconds:.2f} s.")


def _says_so(_: Stage, _service: Service, caller: Caller) -> Observation:
    said = {mark for mark in caller.marks if mark.startswith(_PINNED) and "pinned address" in mark}
    more = set(caller.marks) - said
    if more:
        return broke(f"Something was said of a usual connection: {more.pop()}")
    return held(said.pop()) if said else broke("Nothing was said of the pin.")


def _refuses(which: Callable[[Service], int]) -> Callable[[Stage, Service, Caller], Observation]:
    def look(stage: Stage, service: Service, caller: Caller) -> Observation:
        answered, words = _called(stage, caller, _PINNED, which(service))
        return (held if not answered and "CERTIFICATE_VERIFY_FAILED" in words else broke)(words)

    return look


def _tries_each_address(stage: Stage, service: Service, caller: Caller) -> Observation:
    with peers.silent(_OUTDATED, service.port):
        answered, words = _called(stage, caller, _TWICE, service.port, seconds=2 * _SECONDS)
    return (held if answered else broke)(words)


def _needs_tls(stage: Stage, service: Service, caller: Caller) -> Observation:
    answered, words = _called(stage, caller, _PINNED, service.port, scheme="http")
    return (held if not answered and "without TLS" in words else broke)(words)


def _unpinned_is_not_found(stage: Stage, service: Service, caller: Caller) -> Observation:
    began = time.monotonic()
    answered, words = _called(stage, caller, f"other.{_ZONE}", service.port)
    seconds = time.monotonic() - began
    in_time = seconds < 2 * _SECONDS
    return (held if not answered and in_time and "No DNS server answers" in words else broke)(
        f"{words} It took {seconds:.1f} s, with {_SECONDS:g} s to do it in."
    )


def _needs_no_limit(stage: Stage, service: Service, caller: Caller) -> Observation:
    answered, words = _called(stage, caller, _PINNED, service.port, seconds=None)
    return (held if answered else broke)(words)


def _takes_addresses_only(_: Stage, service: Service, _caller: Caller) -> Observation:
    resolver = names.resolver(lambda: (service.dns,))
    names.transport(resolver, {_PINNED: [_ADDRESS] * 16}, trust=service.trust).close()
    for stated in ([], [_ADDRESS] * 17, ["nowhere"]):
        try:
            names.transport(resolver, {_PINNED: stated}, trust=service.trust).close()
        except BadPinError:
            continue
        return broke(f"A name can be pinned to {len(stated)} addresses such as {stated[:1]}.")
    return held("No address, more than 16 of them, and what is none are refused.")


def _keeps_productions_times(_: Stage, service: Service, _caller: Caller) -> Observation:
    """What nobody could wait for here is looked at with a clock that is told the time."""
    now = [0.0]
    patience = _Patience(names.resolver(lambda: (service.dns,)))
    pinned = PinnedResolver(patience, Pins.of({_PINNED: [_ADDRESS]}), clock=lambda: now[0])
    for now[0], within_seconds in ((0.0, 1.0), (29.9, 1.0), (30.1, 10.0)):
        pinned.resolve(_PINNED, within_seconds=within_seconds)
    words = f"DNS was waited for {patience.seconds} s at most: half of the time, and again after 30 s of rest."
    return (held if patience.seconds == [0.5, 1.8] else broke)(words)


class _Patience:
    """A resolver that notes for how long it may wait."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.seconds: list[float] = []

    def resolve(self, name: str, *, within_seconds: float = 10.0) -> Answer:
        self.seconds.append(within_seconds)
        return self._resolver.resolve(name, within_seconds=min(within_seconds, 0.2))


def _dns_is_gone(_: Stage, service: Service, _caller: Caller) -> Observation:
    if peers.answers(service.dns, _PINNED):
        return broke("The DNS server answers.")
    return held("Asked directly, the DNS server does not answer.")


pinned_address: Experiment[Service, Caller] = Experiment(
    row="R010.4",
    variant="dns-gone",
    title="A critical service is reached without DNS, and its certificate is checked",
    safety=Safety.SAFE,
    fault="the only DNS server is killed (SIGKILL) before the service's name was ever resolved",
    sources=("prodsprints.controls.dns.pins", "prodsprints.controls.dns.transport"),
    uses=(
        "prodsprints.controls.dns.cache",
        "prodsprints.controls.dns.hosts",
        "prodsprints.controls.dns.names",
        "prodsprints.controls.dns.resolver",
        "prodsprints.controls.dns.servers",
        "prodsprints.guard",
        "prodsprints.kernel.errors",
    ),
    peers=(Peer("OpenSSL, by Python's ssl", ssl.OPENSSL_VERSION.split()[1], PeerClass.ENGINE), TWISTED),
    stand=_service,
    treatment=_pinned_client,
    placebo=_bare_client,
    steady=(
        Probe("the service is reached where DNS says, whatever an outdated pin says", _reaches(_NAME)),
        Probe("a pin is no second choice while DNS answers", _goes_by_dns),
    ),
    inject=_dns_dies,
    seen=Probe("the DNS server does not answer", _dns_is_gone),
    probes=(
        Probe("the service is reached by its pinned name", _reaches(_PINNED)),
        Probe("the pin is said to be used", _says_so),
        Probe("the next connection does not wait for DNS", _reaches_it_fast),
        Probe("an address where nobody answers leaves time for the next", _tries_each_address),
        Probe("a certificate for another name is refused", _refuses(lambda service: service.other_name_port)),
        Probe("a certificate of an unknown issuer is refused", _refuses(lambda service: service.other_issuer_port)),
        Probe("a pinned name is not reached without TLS", _needs_tls),
        Probe("a name without a pin is not found", _unpinned_is_not_found),
    ),
    named="the service is reached by its pinned name",
    limit_seconds=40.0,
    after=(
        Probe("it is reached without a limit of the caller's", _needs_no_limit),
        Probe("a name is pinned to addresses only", _takes_addresses_only),
        Probe("production's own times are as stated", _keeps_productions_times),
    ),
)
