"""The drill of R008.1: services that we call fail, hang or are gone, and nobody who calls them is harmed by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import dns.exception
import dns.query
import httpx

from prodsprints.controls.dns import names
from prodsprints.controls.dns import peers as dns_peers
from prodsprints.controls.dns.peers import TWISTED
from prodsprints.controls.dns.servers import Server
from prodsprints.controls.providers import account as accounts
from prodsprints.controls.providers import peers
from prodsprints.controls.providers.account import Account, Place
from prodsprints.controls.providers.fleet import Fleet
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.peers import ACCOUNT, ALIAS, MOTO, REGION, Bare, Cloud
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.guard import Rejection
from prodsprints.guard.profiles import FILE
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.store import scratch
from prodsprints.store.address import Address

_FAULT_SECONDS = 60.0
_ATTEMPT_SECONDS = 1.0
_PROFILES = f"[aws-sts]\ntimeout_seconds = {_ATTEMPT_SECONDS}\n[aws-iam]\ntimeout_seconds = {_ATTEMPT_SECONDS}\n"
_FAILURES = 5  # in a row open a breaker
_FIRST = _FAILURES + 1
_LATER = 12
_BARE_SECONDS = 1.5  # how long a bare client waits; most wait for a minute, or for ever
_IN_TIME_SECONDS = 3.5  # an attempt's time, and slack for a busy machine
_AT_ONCE_SECONDS = 2.5
_ZONE = "drill.test"


@dataclass(frozen=True)
class World:
    """The services that are called: AWS behind the fault origin, and a DNS server; and where a fleet meets."""

    cloud: Cloud
    server: Server
    server_process: int
    store: Address


@dataclass(frozen=True)
class Callers:
    """Whoever calls them: for who we are, for the account's alias, and for the addresses of a name."""

    account: Account | Bare
    find: Callable[[str], object]


@dataclass(frozen=True)
class Told:
    """How a call ended: after how many seconds, with what words, and whether our side turned it away."""

    seconds: float
    words: str
    rejected: bool = False
    answered: bool = False


@contextmanager
def _stand(stage: Stage) -> Iterator[World]:
    with (
        peers.cloud(stage) as cloud,
        dns_peers.dns_server(stage.directory, _ZONE, {"www": "192.0.2.1"}) as (server, process),
        scratch.database(stage.admin) as store,
    ):
        yield World(cloud, server, process, store)


@contextmanager
def _ours(stage: Stage, world: World) -> Iterator[Callers]:
    home = stage.directory / "home"
    home.mkdir()
    (home / FILE).write_text(_PROFILES)
    resolver = names.resolver(lambda: [world.server])
    with closing(Fleet(world.store)) as fleet:  # as a worker has it
        guards = Guards(fleet, profiles=home / FILE)
        place = Place(ACCOUNT, REGION, world.cloud.origin.url)
        with accounts.opened(place, home=home, guards=guards) as account:
            yield Callers(account, lambda name: resolver.resolve(name, within_seconds=1.0))


@contextmanager
def _bare(_: Stage, world: World) -> Iterator[Callers]:
    def find(name: str) -> object:
        question = dns.message.make_query(name, "A")
        return dns.query.udp(question, world.server.address, timeout=_BARE_SECONDS, port=world.server.port)

    transport = names.transport(names.of_this_process(), {}, trust=httpx.create_ssl_context())
    with httpx.Client(transport=transport, timeout=_BARE_SECONDS) as http:
        yield Callers(Bare(http, world.cloud), find)


@contextmanager
def _fails(_: Stage, world: World) -> Iterator[None]:
    with world.cloud.origin.answering(status=500, ttl_seconds=_FAULT_SECONDS):
        yield


@contextmanager
def _hangs(_: Stage, world: World) -> Iterator[None]:
    with (
        world.cloud.origin.hanging(seconds=_FAULT_SECONDS, ttl_seconds=_FAULT_SECONDS),
        faults.stopped(world.server_process, ttl_seconds=_FAULT_SECONDS),
    ):
        yield


@contextmanager
def _is_gone(_: Stage, world: World) -> Iterator[None]:
    with faults.killed(world.cloud.process), faults.killed(world.server_process):
        yield


def _called(stage: Stage, call: Callable[[], object], name: str) -> Told:
    began = time.monotonic()
    try:
        answer, error = call(), None
    except (ProdSprintsError, dns.exception.DNSException, OSError) as raised:
        answer, error = None, raised
    seconds = time.monotonic() - began
    stage.sample(error is None, seconds, name)
    if error is None:
        return Told(seconds, f"{answer}", answered=True)
    return Told(seconds, f"{type(error).__name__}: {error}", rejected=isinstance(error, Rejection))


def _at_once(stage: Stage, callers: int, call: Callable[[int], object], name: str) -> list[Told]:
    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(lambda number: _called(stage, lambda: call(number), name), range(callers)))


def _in_time(told: list[Told], seconds: float, *, answered: bool = False) -> Observation:
    """All ended within `seconds`, and as they should."""
    slowest, wrong = max(one.seconds for one in told), [one for one in told if one.answered is not answered]
    words = f"{len(told)} callers were told within {slowest:.2f} s."
    if wrong:
        return broke(f"{words} One of them: {wrong[0].words}")
    return (held if slowest <= seconds else broke)(f"{words} One of them: {told[-1].words}")


def _who_we_are(stage: Stage, _: World, callers: Callers) -> Observation:
    return _in_time(_at_once(stage, 1, lambda _: callers.account.identity(), "AWS STS"), 10.0, answered=True)


def _the_alias(stage: Stage, _: World, callers: Callers) -> Observation:
    [told] = _at_once(stage, 1, lambda _: callers.account.alias(ACCOUNT).value, "AWS IAM")
    return (held if told.words == ALIAS else broke)(told.words)


def _a_name(stage: Stage, _: World, callers: Callers) -> Observation:
    return _in_time(_at_once(stage, 1, lambda _: callers.find(f"www.{_ZONE}"), "DNS"), 10.0, answered=True)


def _refusals_open_nothing(stage: Stage, world: World, callers: Callers) -> Observation:
    """Wrong credentials are ours to mend, and no outage: who has the right ones is not turned away for them."""
    with world.cloud.origin.answering(status=403, ttl_seconds=_FAULT_SECONDS):
        for _ in range(_FIRST):
            _called(stage, callers.account.identity, "AWS STS")
    return _who_we_are(stage, world, callers)


def _opens_after_five(stage: Stage, world: World, callers: Callers) -> Observation:
    """One after the other: five are sent to the service that fails, and no sixth."""
    before = _arrived(world)
    told = [_called(stage, callers.account.identity, "AWS STS") for _ in range(_FIRST)]
    sent = _arrived(world) - before
    if sent != _FAILURES:
        return broke(f"Of {_FIRST} calls {sent} were sent to the service that fails.")
    return _in_time(told, _IN_TIME_SECONDS)


def _callers_are_told(stage: Stage, _: World, callers: Callers) -> Observation:
    began = time.monotonic()
    told = _at_once(stage, _FIRST, lambda _: callers.account.identity(), "AWS STS")
    stage.measure("detect_seconds", time.monotonic() - began)
    return _in_time(told, _IN_TIME_SECONDS)


def _is_left_alone(stage: Stage, world: World, callers: Callers) -> Observation:
    """Now that it is known to be dead, no more calls are sent to it, and nobody waits for it."""
    before = _arrived(world)
    told = _at_once(stage, _LATER, lambda _: callers.account.identity(), "AWS STS")
    sent = _arrived(world) - before
    if sent:
        return broke(f"Of {_LATER} further calls {sent} were sent to the dead service. One: {told[-1].words}")
    if not all(one.rejected for one in told):
        return broke(f"Not all were turned away: {next(one.words for one in told if not one.rejected)}")
    return _in_time(told, _AT_ONCE_SECONDS)


def _goes_on_without(stage: Stage, world: World, callers: Callers) -> Observation:
    """The alias is nobody's condition: it is shown as it was, also once IAM is left alone."""
    before = _arrived(world)
    for _ in range(_FIRST + 2):
        told = _called(stage, lambda: callers.account.alias(ACCOUNT), "AWS IAM")
        if not told.answered or told.seconds > _IN_TIME_SECONDS:
            return broke(f"After {told.seconds:.2f} s: {told.words}")
    sent = _arrived(world) - before
    if sent >= _FIRST:
        return broke(f"All {sent} questions were sent to the dead service.")
    return held(f"{_FIRST + 2} callers were shown the alias as it was; {sent} of them asked IAM first.")


def _names_are_told(stage: Stage, _: World, callers: Callers) -> Observation:
    """Unknown names cost nobody more than their time, known ones nothing; and the server is left alone."""
    first = _in_time(
        _at_once(stage, _FIRST, lambda number: callers.find(f"a{number}.{_ZONE}"), "DNS"), _IN_TIME_SECONDS
    )
    if not first.holds:
        return first
    later = _in_time(
        _at_once(stage, _LATER, lambda number: callers.find(f"b{number}.{_ZONE}"), "DNS"), _AT_ONCE_SECONDS
    )
    if not later.holds:
        return later
    return _in_time([_called(stage, lambda: callers.find(f"www.{_ZONE}"), "DNS")], _AT_ONCE_SECONDS, answered=True)


def _names_are_found(stage: Stage, _: World, callers: Callers) -> Observation:
    """An outage of one service is none of another's."""
    return _in_time(
        _at_once(stage, _FIRST, lambda _: callers.find(f"www.{_ZONE}"), "DNS"), _IN_TIME_SECONDS, answered=True
    )


def _does_not_answer(_: Stage, world: World, _callers: Callers) -> Observation:
    try:
        status = httpx.get(world.cloud.origin.url, timeout=1.0, trust_env=False).status_code
    except httpx.TransportError as error:
        return held(f"Asked directly, it ends with {type(error).__name__}.")
    return (held if status == httpx.codes.INTERNAL_SERVER_ERROR else broke)(f"Asked directly, it answers {status}.")


def _arrived(world: World) -> int:
    return int(world.cloud.origin.counts()["requests"])


_CALLERS_ARE_TOLD = Probe("callers are told in time", _callers_are_told)
_IS_LEFT_ALONE = Probe("a dead service is left alone", _is_left_alone)
_GOES_ON = Probe("what can do without it goes on", _goes_on_without)
_NAMES_ARE_TOLD = Probe("so it is with names", _names_are_told)

services_hang: Experiment[World, Callers] = Experiment(
    row="R008.1",
    variant="services-hang",
    title="Nobody waits for services that hang",
    safety=Safety.SAFE,
    fault="AWS takes every call and answers none; the DNS server is stopped (SIGSTOP)",
    sources=("prodsprints.controls.providers.guards", "prodsprints.guard.breaker"),
    uses=(
        "prodsprints.controls.dns",
        "prodsprints.controls.integrations.last_good",
        "prodsprints.controls.providers.account",
        "prodsprints.controls.providers.aws",
        "prodsprints.controls.providers.breaker",
        "prodsprints.controls.providers.budget",
        "prodsprints.controls.providers.fleet",
        "prodsprints.controls.providers.leases",
        "prodsprints.controls.providers.link",
        "prodsprints.guard",
        "prodsprints.kernel",
        "prodsprints.store",
    ),
    peers=(MOTO, TWISTED),
    stand=_stand,
    treatment=_ours,
    placebo=_bare,
    steady=(
        Probe("who we are is answered", _who_we_are),
        Probe("the alias is answered", _the_alias),
        Probe("a name is found", _a_name),
    ),
    inject=_hangs,
    seen=Probe("the service does not answer", _does_not_answer),
    probes=(_CALLERS_ARE_TOLD, _IS_LEFT_ALONE, _GOES_ON, _NAMES_ARE_TOLD),
    named="a dead service is left alone",
    limit_seconds=60.0,
    scale=f"an attempt may take {_ATTEMPT_SECONDS:g} s, in production 10 s",
)

services_are_gone: Experiment[World, Callers] = replace(
    services_hang,
    variant="services-are-gone",
    title="Nobody is harmed by services that are gone",
    fault="AWS and the DNS server are killed (SIGKILL), and connections are reset",
    inject=_is_gone,
)

services_fail: Experiment[World, Callers] = replace(
    services_hang,
    variant="services-fail",
    title="Nobody is harmed by a service that fails, and no other service is",
    fault="AWS answers 500 to every call; the DNS server is well",
    inject=_fails,
    steady=(*services_hang.steady, Probe("calls that are refused turn nobody away", _refusals_open_nothing)),
    probes=(
        Probe("callers are told in time", _opens_after_five),
        _IS_LEFT_ALONE,
        _GOES_ON,
        Probe("other services go on", _names_are_found),
    ),
)
