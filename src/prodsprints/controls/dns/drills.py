"""The drills of R010.2: all DNS servers hang or are dead, and names are still resolved."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import dns.exception

from prodsprints.controls.dns import names, peers
from prodsprints.controls.dns.cache import Bounds, Cache, Freshness, Known
from prodsprints.controls.dns.peers import TWISTED, StubResolver
from prodsprints.controls.dns.resolver import Answer, Origin, Resolver
from prodsprints.controls.dns.servers import Server, Servers
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.kernel.errors import ProdSprintsError

_ZONE = "service.test"
_NAME = f"www.{_ZONE}"
_PINNED = f"pinned.{_ZONE}"
_ADDRESS = "127.0.0.1"
_OWN = "127.0.0.9"
_FAULT_SECONDS = 60.0
_PATIENCE_SECONDS = 4.0  # 1.8 s, and what a busy machine adds

# Production waits for hours and days. What is looked at is the order of these times, which stays.
_BOUNDS = Bounds(floor_seconds=0.2, ceiling_seconds=0.6, prefetch_share=0.5, stale_seconds=4.0, rest_seconds=0.4)


@dataclass(frozen=True)
class Fleet:
    """Two DNS servers, and the processes that they are."""

    servers: tuple[Server, ...]
    processes: tuple[int, ...]


Names = Resolver | StubResolver


@contextmanager
def _two_servers(stage: Stage) -> Iterator[Fleet]:
    with ExitStack() as stack:
        started = []
        for number in ("first", "second"):
            place = stage.directory / number
            place.mkdir()
            started.append(stack.enter_context(peers.dns_server(place, _ZONE, {"www": _ADDRESS})))
        yield Fleet(tuple(server for server, _ in started), tuple(process for _, process in started))


@contextmanager
def _our_resolver(_: Stage, fleet: Fleet) -> Iterator[Names]:
    yield names.resolver(lambda: fleet.servers, bounds=_BOUNDS)


@contextmanager
def _stub_resolver(_: Stage, fleet: Fleet) -> Iterator[Names]:
    yield StubResolver(fleet.servers)


@contextmanager
def _servers_hang(_: Stage, fleet: Fleet) -> Iterator[None]:
    with ExitStack() as stack:
        for process in fleet.processes:
            stack.enter_context(faults.stopped(process, ttl_seconds=_FAULT_SECONDS))
        yield


@contextmanager
def _servers_die(_: Stage, fleet: Fleet) -> Iterator[None]:
    with ExitStack() as stack:
        for process in fleet.processes:
            stack.enter_context(faults.killed(process))
        yield


def _asked(stage: Stage, subject: Names, name: str = _NAME, **more: float) -> tuple[Answer | None, float, str]:
    """The subject's answer, how long it took, and what it said if it gave none."""
    began = time.monotonic()
    try:
        answer, trouble = subject.resolve(name, **more), ""
    except (dns.exception.DNSException, ProdSprintsError) as error:
        answer, trouble = None, f"{type(error).__name__}: {error}"[:200]
    seconds = time.monotonic() - began
    stage.sample(answer is not None, seconds, answer.origin if answer else "no answer")
    return answer, seconds, trouble


def _resolves(stage: Stage, _: Fleet, subject: Names) -> Observation:
    answer, _seconds, trouble = _asked(stage, subject)
    if answer is None or answer.addresses != (_ADDRESS,):
        return broke(trouble or _said(answer))
    return (held if _ADDRESS in _said(answer) else broke)(_said(answer))


def _knows_what_is_not(stage: Stage, _: Fleet, subject: Names) -> Observation:
    answer, _seconds, trouble = _asked(stage, subject, f"missing.{_ZONE}")
    return broke(f"{answer}") if answer else held(trouble)


def _nobody_answers(_: Stage, fleet: Fleet, _subject: Names) -> Observation:
    alive = [str(server) for server in fleet.servers if peers.answers(server, _NAME)]
    return broke(f"{', '.join(alive)} answers.") if alive else held("Asked directly, neither server answers.")


def _serves_stale(stage: Stage, _: Fleet, subject: Names) -> Observation:
    _pause(stage, _BOUNDS.ceiling_seconds + 0.1)
    answer, seconds, trouble = _asked(stage, subject)
    stage.measure("detect_seconds", seconds)
    if answer is None:
        return broke(trouble)
    if answer.addresses != (_ADDRESS,):
        return broke(f"It answers something else: {_said(answer)}")
    if not answer.stale:
        return broke(f"It is passed off as fresh: {_said(answer)}")
    if seconds > _PATIENCE_SECONDS:
        return broke(f"Whoever asked had to wait for {seconds:.1f} s.")
    return held(f"Still {', '.join(answer.addresses)}, after {seconds:.1f} s, marked as stale.")


def _marks_it(stage: Stage, _: Fleet, subject: Names) -> Observation:
    answer, _seconds, trouble = _asked(stage, subject)
    if answer is None:
        return broke(trouble)
    old_enough = answer.age_seconds >= _BOUNDS.ceiling_seconds
    return (held if answer.stale and old_enough and "ago" in _said(answer) else broke)(_said(answer))


def _does_not_wait_again(stage: Stage, _: Fleet, subject: Names) -> Observation:
    answer, seconds, trouble = _asked(stage, subject)
    if answer is None:
        return broke(trouble)
    return (held if seconds < 0.1 else broke)(f"Answered after {seconds * 1000:.1f} ms, without asking in vain again.")


def _refuses_what_is_too_old(stage: Stage, _: Fleet, subject: Names) -> Observation:
    answer, _seconds, trouble = _asked(stage, subject)
    if answer is not None:
        _pause(stage, _BOUNDS.ceiling_seconds + _BOUNDS.stale_seconds - answer.age_seconds + 0.1)
        answer, _seconds, trouble = _asked(stage, subject, within_seconds=0.5)
    return broke(f"It is still served: {answer}") if answer else held(trouble)


def _is_fresh_again(stage: Stage, _: Fleet, subject: Names) -> Observation:
    began = time.monotonic()
    while time.monotonic() - began < 3.0:
        answer, _seconds, _trouble = _asked(stage, subject)
        if answer is not None and answer.origin is Origin.ANSWERED:
            stage.measure("recover_seconds", time.monotonic() - began)
            return held(f"Answered by a server again {time.monotonic() - began:.1f} s after they came back.")
        time.sleep(0.05)
    return broke("Three seconds after the servers came back the answer is still an old one.")


def _comes_from_memory(stage: Stage, _: Fleet, subject: Names) -> Observation:
    first, _seconds, trouble = _asked(stage, subject)
    time.sleep(0.05)
    second, _seconds, trouble = _asked(stage, subject)
    if first is None or second is None:
        return broke(trouble)
    same = second.age_seconds >= first.age_seconds + 0.05 and second.origin is Origin.ANSWERED
    return (held if same else broke)(f"The second answer is {second.age_seconds:.2f} s old.")


def _refreshes_ahead(stage: Stage, _: Fleet, subject: Names) -> Observation:
    """In use all the time, an address never reaches the end of its time to live, and nobody waits for a refresh."""
    oldest = 0.0
    began = time.monotonic()
    while time.monotonic() - began < 2 * _BOUNDS.ceiling_seconds:
        answer, _seconds, trouble = _asked(stage, subject)
        if answer is None:
            return broke(trouble)
        oldest = max(oldest, answer.age_seconds)
        time.sleep(0.01)
    due = (1 - _BOUNDS.prefetch_share) * _BOUNDS.ceiling_seconds
    return (held if due <= oldest < 0.9 * _BOUNDS.ceiling_seconds else broke)(
        f"The oldest answer was {oldest:.2f} s old, with a time to live of {_BOUNDS.ceiling_seconds:g} s."
    )


def _keeps_productions_times(_: Stage, _fleet: Fleet, _subject: Names) -> Observation:
    """What the other probes see in small is looked at here in production's own size, where nobody could wait for it."""
    hour, day = 3600.0, 86_400.0
    for ttl, age, failed_ago, expected in (
        (0.0, 8.9, None, Freshness.FRESH),
        (0.0, 9.0, None, Freshness.DUE),
        (0.0, 10.0, None, Freshness.EXPIRED),
        (7 * day, 5.3 * hour, None, Freshness.FRESH),
        (7 * day, 5.5 * hour, None, Freshness.DUE),
        (7 * day, 6.0 * hour, None, Freshness.EXPIRED),
        (7 * day, 6.0 * hour, 29.0, Freshness.RESTING),
        (7 * day, 6.0 * hour, 30.0, Freshness.EXPIRED),
        (60.0, 3 * day + 59.0, None, Freshness.EXPIRED),
        (60.0, 3 * day + 60.0, 1.0, Freshness.GONE),
    ):
        known = Known((_ADDRESS,), ttl, 0.0, None if failed_ago is None else age - failed_ago)
        found = Bounds().freshness(known, age)
        if found is not expected:
            return broke(f"With a time to live of {ttl:g} s, after {age:g} s, an address is {found}, not {expected}.")
    return held("10 s to 6 h fresh, 3 days stale, 30 s of rest after a failure.")


def _keeps_names_in_use(_: Stage, _fleet: Fleet, _subject: Names) -> Observation:
    """A thousand names: who is asked for stays, who was not for the longest makes room, and what is no more goes."""
    cache, known = Cache(), Known((_ADDRESS,), 60.0, 0.0)
    for number in range(1_000):
        cache.put(f"n{number}", known)
    cache.put("n0", known)
    cache.get("n1")
    for name in ("one-more", "another"):
        cache.put(name, known)
    kept = [name for name in ("n0", "n1", "n2", "n3", "n4") if cache.get(name)]
    cache.drop("n4")
    if len(cache) != 999 or kept != ["n0", "n1", "n4"] or cache.get("n4"):
        return broke(f"It keeps {len(cache)} names, of the first five {kept}.")
    return held("Of 1,002 names the two that nobody had asked for the longest made room.")


def _needs_no_dns(stage: Stage, fleet: Fleet, _subject: Names) -> Observation:
    """What is an address, or stands in the machine's own file, is known while no server answers."""
    hosts = stage.directory / "hosts"
    beyond = f"{'#' * (1 << 20)}\n{_OWN} beyond.{_ZONE}\n"
    hosts.write_text(f"nowhere own.{_ZONE}\n{_OWN} own.{_ZONE} alias.{_ZONE} # not.{_ZONE}\n{beyond}")
    resolver = Resolver(Servers(lambda: fleet.servers), hosts=hosts)
    found = {}
    for name in (_OWN, "localhost", f"own.{_ZONE}", f"ALIAS.{_ZONE}.", f"not.{_ZONE}", f"beyond.{_ZONE}"):
        try:
            answer = resolver.resolve(name, within_seconds=0.2)
        except ProdSprintsError:
            continue
        found[name] = (*answer.addresses, answer.origin, answer.age_seconds)
    own = (_OWN, Origin.LOCAL, 0.0)
    expected = {_OWN: own, "localhost": (_ADDRESS, Origin.LOCAL, 0.0), f"own.{_ZONE}": own, f"ALIAS.{_ZONE}.": own}
    return (held if found == expected else broke)(f"Known without DNS: {', '.join(found)}.")


def _said(answer: Answer | None) -> str:
    try:
        return str(answer)
    except TypeError:  # as Python raises it where a damaged control has no words
        return ""


def _pause(stage: Stage, seconds: float) -> None:
    time.sleep(max(0.0, min(seconds, stage.remaining_seconds)))


_LOCAL = Probe("what needs no DNS is known without it", _needs_no_dns)

_silent: Experiment[Fleet, Names] = Experiment(
    row="R010.2",
    variant="servers-hang",
    title="Names are still resolved while no DNS server answers",
    safety=Safety.SAFE,
    fault="both DNS servers hang (SIGSTOP)",
    sources=("prodsprints.controls.dns.cache", "prodsprints.controls.dns.resolver"),
    uses=(
        "prodsprints.controls.dns.hosts",
        "prodsprints.controls.dns.names",
        "prodsprints.controls.dns.servers",
        "prodsprints.guard",
        "prodsprints.kernel.errors",
    ),
    peers=(TWISTED,),
    stand=_two_servers,
    treatment=_our_resolver,
    placebo=_stub_resolver,
    steady=(
        Probe("a name is resolved", _resolves),
        Probe("a name that does not exist is said not to exist", _knows_what_is_not),
    ),
    inject=_servers_hang,
    seen=Probe("no server answers", _nobody_answers),
    probes=(
        Probe("the name is still resolved", _serves_stale),
        Probe("the answer says how old it is", _marks_it),
        Probe("the next one does not wait", _does_not_wait_again),
        Probe("production's own times are as stated", _keeps_productions_times),
        Probe("a thousand names are kept, those in use before others", _keeps_names_in_use),
        _LOCAL,
    ),
    named="the name is still resolved",
    limit_seconds=40.0,
    after=(
        Probe("the answer is fresh again", _is_fresh_again),
        Probe("a fresh answer is kept", _comes_from_memory),
        Probe("a name in use is refreshed ahead of time", _refreshes_ahead),
    ),
    scale="times to live are 0.2 to 0.6 s instead of 10 s to 6 h, stale answers are kept 4 s instead of 3 days",
)

silent_servers = _silent

dead_servers: Experiment[Fleet, Names] = replace(
    _silent,
    variant="servers-dead",
    title="Names are still resolved when all DNS servers are dead, but not forever",
    fault="both DNS servers are killed (SIGKILL)",
    inject=_servers_die,
    probes=(*_silent.probes[:-1], Probe("what is too old is refused", _refuses_what_is_too_old), _LOCAL),
    after=(),
)
