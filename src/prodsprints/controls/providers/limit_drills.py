"""The drills of R001.2: a fleet wants far more than a provider allows, with a store, without, and with a loss."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from psycopg.conninfo import make_conninfo

from prodsprints.controls.providers import known
from prodsprints.controls.providers.crew import Job, Worker, crew, provider
from prodsprints.controls.providers.leases import TTL_SECONDS
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.faults import Blackhole, HttpOrigin, TcpProxy
from prodsprints.drills.stage import Stage
from prodsprints.store import scratch
from prodsprints.store.address import Address

RATE, BURST = 40.0, 20.0
CLOCKS_AHEAD_SECONDS = (0.0, 30.0, -30.0, 60.0)
# The limit is kept where a token is spent; what was on its way for longer arrives together with what was not.
_ON_THE_WAY_SECONDS = 0.25
_BOUND = BURST + RATE * (1 + TTL_SECONDS)
_LOOK_SECONDS = 4.0
_LONGEST_LOOK_SECONDS = 12.0
_DOWN_SECONDS = 4.0
_SETTLES_SECONDS = 1.0
TTL_OF_FAULTS_SECONDS = 60.0
ANSWERED = "answered"

SOURCES = (
    "prodsprints.controls.providers.fleet",
    "prodsprints.controls.providers.guards",
    "prodsprints.controls.providers.leases",
    "prodsprints.controls.providers.link",
    "prodsprints.store.migrations.versions.r0006_fleet:0006_fleet.sql",
)
USES = (
    "prodsprints.controls.providers.breaker",
    "prodsprints.controls.providers.budget",
    "prodsprints.controls.providers.crew",
    "prodsprints.controls.providers.known",
    "prodsprints.controls.providers.known:known.json",
    "prodsprints.guard",
)
STORE = Peer("PostgreSQL", "the platform's own", PeerClass.ENGINE)
PROVIDER = Peer("provider that answers every call, behind the fault origin", "of this version", PeerClass.DOUBLE)


Workers = Sequence[Worker]


@dataclass
class Ground:
    """A provider that counts, the fleet's store behind a proxy, and who calls, since when; the subject brings them."""

    origin: HttpOrigin
    proxy: TcpProxy
    store: str
    workers: Workers = ()
    began: float = 0.0


@contextmanager
def ground(stage: Stage, *, seconds: float = 0.0) -> Iterator[Ground]:
    """For the length of the arm; the provider takes `seconds` for an answer."""
    with scratch.database(stage.admin) as address:
        parts = address.parts()
        upstream = (parts.get("host", "127.0.0.1"), int(parts.get("port", "5432")))
        with (
            faults.tcp_proxy(stage, upstream=upstream) as proxy,
            provider(seconds=seconds) as url,
            faults.http_origin(stage, upstream=url) as origin,
        ):
            store = make_conninfo(address.conninfo, host=proxy.address[0], port=proxy.port)
            yield Ground(origin, proxy, store)


def _fleet(*, shared: bool) -> Callable[[Stage, Ground], Iterator[Workers]]:
    def build(_: Stage, ground: Ground) -> Iterator[Workers]:
        job = Job((("only", ground.origin.url, ""),), RATE, BURST, store=ground.store if shared else None)
        with crew([replace(job, clock_ahead_seconds=seconds) for seconds in CLOCKS_AHEAD_SECONDS]) as workers:
            ground.workers = workers
            yield workers

    return build


def answers(stage: Stage, _: Ground, workers: Workers) -> Observation:
    """One call of the worker in this process."""
    began, ended = time.monotonic(), workers[0].call()
    stage.sample(ended == ANSWERED, time.monotonic() - began, "one call")
    return (held if ended == ANSWERED else broke)(f"It was {ended}.")


@contextmanager
def all_call(_: Stage, ground: Ground) -> Iterator[None]:
    """All workers begin."""
    ground.began = time.monotonic()
    for worker in ground.workers:
        worker.begin()
    yield


@contextmanager
def _all_call_and_the_store_is_gone(stage: Stage, ground: Ground) -> Iterator[None]:
    with all_call(stage, ground):
        time.sleep(_SETTLES_SECONDS)
        with ground.proxy.toxic(Blackhole(), ttl_seconds=TTL_OF_FAULTS_SECONDS):
            yield


@contextmanager
def _all_call_and_one_is_killed(stage: Stage, ground: Ground) -> Iterator[None]:
    with all_call(stage, ground):
        time.sleep(_SETTLES_SECONDS)
        with faults.killed(ground.workers[-1].pid or 0):
            yield


def _keeps_the_bound(stage: Stage, ground: Ground, _: Workers) -> Observation:
    """In any second that it is looked at."""
    until(ground.began + _LOOK_SECONDS)
    times = arrivals(ground.origin, ground.began)
    most, limit = _most_within(times, 1.0), _BOUND + RATE * _ON_THE_WAY_SECONDS
    stage.sample(most <= limit, 1.0, f"{most} calls in a second")
    words = f"The provider counted up to {most} calls in a second; allowed are {_BOUND:g}, {limit:g} with what is late."
    return (held if most <= limit else broke)(words)


def _used(share: float) -> Callable[[Stage, Ground, Workers], Observation]:
    """Of what the rate allows in some seconds; a machine that has no time for its workers gets more of them."""

    def look(_: Stage, ground: Ground, _workers: Workers) -> Observation:
        while True:
            until(ground.began + _LOOK_SECONDS)
            times = arrivals(ground.origin, ground.began)
            most, wanted = _most_within(times, _LOOK_SECONDS), share * RATE * _LOOK_SECONDS
            if most >= wanted or time.monotonic() > ground.began + _LONGEST_LOOK_SECONDS:
                words = f"{most} calls in {_LOOK_SECONDS:g} s, of {RATE * _LOOK_SECONDS:g} that the rate allows."
                return (held if most >= wanted else broke)(words)
            time.sleep(0.5)

    return look


def _goes_on_alone(_: Stage, ground: Ground, workers: Workers) -> Observation:
    """From a second after the store went: each process has its share of the rate, and uses it."""
    begins, ends = ground.began + 2 * _SETTLES_SECONDS, ground.began + 2 * _SETTLES_SECONDS + _DOWN_SECONDS - 1
    until(ends)
    count = sum(begins <= at <= ends for at in arrivals(ground.origin, ground.began))
    allowed = RATE * (ends - begins)
    words = f"{count} calls in {ends - begins:g} s without a store, of {allowed:g} that the rate allows."
    return (held if 0.7 * allowed <= count <= allowed + len(workers) + RATE * _ON_THE_WAY_SECONDS else broke)(words)


def _wants_more(_: Stage, ground: Ground, workers: Workers) -> Observation:
    count = ground.origin.counts()["requests"]
    return (held if count > RATE else broke)(f"{count} calls arrived of {len(workers)} workers without a pause.")


def _store_is_gone(stage: Stage, ground: Ground, workers: Workers) -> Observation:
    """The bare peer has no store to lose: there it is enough that it wants more than is allowed."""
    wants = _wants_more(stage, ground, workers)
    counts = ground.proxy.counts()
    return wants if not wants.holds else held(f"{wants.words} The store's connections: {counts['connections']}.")


def _one_is_gone(stage: Stage, ground: Ground, workers: Workers) -> Observation:
    reports = [worker.report() for worker in workers]
    wants = _wants_more(stage, ground, workers)
    return (
        wants if not wants.holds else (broke if reports[-1].ended else held)(f"{wants.words} One of them was killed.")
    )


def _bucket_is_known(_: Stage, ground: Ground, _workers: Workers) -> Observation:
    wrong = known.wrong_about_buckets(Address(ground.store))
    return broke(wrong) if wrong else held("It granted, refilled, froze and took back as was worked out.")


def _worker_is_known(_: Stage, _ground: Ground, _workers: Workers) -> Observation:
    wrong = known.wrong_about_workers()
    return broke(wrong) if wrong else held("It asked, waited, spent and gave back as was worked out.")


def arrivals(origin: HttpOrigin, since: float) -> list[float]:
    """When calls arrived, in order."""
    return [float(at) for at in origin.counts()["times"] if at >= since]


def _most_within(times: list[float], seconds: float) -> int:
    """The most that arrived within any so many seconds."""
    return max((bisect_right(times, at + seconds) - index for index, at in enumerate(times)), default=0)


def until(moment: float) -> None:
    """Wait for it."""
    time.sleep(max(0.0, moment - time.monotonic()))


_BOUNDED = "the provider counts no more than the bound in any second"

whole_fleet: Experiment[Ground, Workers] = Experiment(
    row="R001.2",
    variant="whole-fleet",
    title="Four workers keep a provider's one limit between them, and use it",
    safety=Safety.SAFE,
    fault="four workers whose clocks are up to 90 s apart call without a pause, far more than the provider allows",
    sources=SOURCES,
    uses=USES,
    peers=(STORE, PROVIDER),
    stand=ground,
    treatment=contextmanager(_fleet(shared=True)),
    placebo=contextmanager(_fleet(shared=False)),
    steady=(Probe("a call is answered", answers),),
    inject=all_call,
    seen=Probe("more is wanted than is allowed", _wants_more),
    probes=(Probe(_BOUNDED, _keeps_the_bound), Probe("the limit is used up", _used(0.99))),
    named=_BOUNDED,
    after=(
        Probe("known questions to a bucket have known answers", _bucket_is_known),
        Probe("known questions to a worker have known answers", _worker_is_known),
    ),
    limit_seconds=40.0,  # 8 s on a machine that does nothing else
    scale="40 calls a second for 4 s; three of the workers are processes of their own, the fourth is the drill's",
)

store_down = replace(
    whole_fleet,
    variant="store-down",
    title="Without their store, workers spend their leases and then keep to their share",
    fault="four workers call without a pause, and a second later PostgreSQL answers nothing any more",
    inject=_all_call_and_the_store_is_gone,
    seen=Probe("more is wanted than is allowed, and the store is silent", _store_is_gone),
    probes=(Probe(_BOUNDED, _keeps_the_bound), Probe("each goes on within its share", _goes_on_alone)),
    after=(),
)

worker_killed = replace(
    whole_fleet,
    variant="worker-killed",
    title="A worker that is killed takes its lease with it, and no more",
    fault="four workers call without a pause, and a second later one of them is killed (SIGKILL)",
    inject=_all_call_and_one_is_killed,
    seen=Probe("more is wanted than is allowed, and one worker is gone", _one_is_gone),
    probes=(Probe(_BOUNDED, _keeps_the_bound), Probe("the others use the limit", _used(0.9))),
    after=(),
)
