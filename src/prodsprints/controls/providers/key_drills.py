"""The drills of R001.4: some of a provider's keys are throttled, and the whole fleet goes on with the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from prodsprints.controls.providers import known
from prodsprints.controls.providers.crew import Job, crew, provider
from prodsprints.controls.providers.limit_drills import (
    PROVIDER,
    STORE,
    TTL_OF_FAULTS_SECONDS,
    Workers,
    arrivals,
    until,
)
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Probe, Safety, broke, held
from prodsprints.drills.faults import HttpOrigin
from prodsprints.drills.stage import Stage
from prodsprints.store import scratch
from prodsprints.store.address import Address

_WORKERS = 4
_PAUSE_SECONDS = 0.01
_THROTTLED_WITHIN_SECONDS = 8.0
_PUBLISHED_SECONDS = 0.5
_LOOK_SECONDS = 2.0
_RETRY_AFTER_SECONDS = 30.0


@dataclass
class Ground:
    """A provider with a door for each key, the fleet's store, and who calls; `cold` are the keys to be left alone."""

    doors: dict[str, HttpOrigin]
    store: str
    throttled: tuple[str, ...]
    cold: tuple[str, ...]
    workers: Workers = ()
    frozen: float = 0.0


def _ground(*, throttled: tuple[str, ...], cold: tuple[str, ...]) -> Callable[[Stage], Iterator[Ground]]:
    def stand(stage: Stage) -> Iterator[Ground]:
        with scratch.database(stage.admin) as address, provider() as url, ExitStack() as stack:
            doors = {name: stack.enter_context(faults.http_origin(stage, upstream=url)) for name in ("a", "b", "c")}
            yield Ground(doors, address.conninfo, throttled, cold)

    return stand


def _fleet(*, guarded: bool, scopes: dict[str, str]) -> Callable[[Stage, Ground], Iterator[Workers]]:
    def build(_: Stage, ground: Ground) -> Iterator[Workers]:
        job = Job(
            tuple((name, door.url, scopes.get(name, "")) for name, door in ground.doors.items()),
            rate=1000.0,
            burst=1000.0,
            store=ground.store if guarded else None,
            guarded=guarded,
            threads=1,
            pause_seconds=_PAUSE_SECONDS,
        )
        with crew([job] * _WORKERS) as workers:
            ground.workers = workers
            yield workers

    return build


@contextmanager
def _some_are_throttled(_: Stage, ground: Ground) -> Iterator[None]:
    """One worker finds out; only then do the others begin, who have to know it from it."""
    with ExitStack() as stack:
        for name in ground.throttled:
            stack.enter_context(
                ground.doors[name].answering(
                    status=429, retry_after_seconds=_RETRY_AFTER_SECONDS, ttl_seconds=TTL_OF_FAULTS_SECONDS
                )
            )
        first, *others = ground.workers
        first.begin()
        deadline = time.monotonic() + _THROTTLED_WITHIN_SECONDS
        while not all(ground.doors[name].counts()["faults"] for name in ground.throttled):
            if time.monotonic() > deadline:
                break  # `seen` says so
            time.sleep(0.02)
        ground.frozen = time.monotonic() + _PUBLISHED_SECONDS
        until(ground.frozen)
        for worker in others:
            worker.begin()
        yield


def _answers(stage: Stage, _: Ground, workers: Workers) -> Observation:
    began, ended = time.monotonic(), workers[0].call()
    stage.sample(ended == "answered", time.monotonic() - began, "one call")
    return (held if ended == "answered" else broke)(f"It was {ended}.")


def _no_call_to_the_cold(stage: Stage, ground: Ground, _: Workers) -> Observation:
    until(ground.frozen + _LOOK_SECONDS)
    counts = {name: len(arrivals(ground.doors[name], ground.frozen)) for name in ground.cold}
    words = ", ".join(f"{count} calls with {name}" for name, count in counts.items())
    stage.sample(not any(counts.values()), _LOOK_SECONDS, words)
    return (broke if any(counts.values()) else held)(f"{words}, since it is throttled.")


def _work_goes_on(stage: Stage, ground: Ground, workers: Workers) -> Observation:
    before = [worker.report().ended for worker in workers]
    warm = [name for name in ground.doors if name not in ground.cold]
    began = time.monotonic()
    time.sleep(_LOOK_SECONDS / 2)
    count = sum(len(arrivals(ground.doors[name], began)) for name in warm)
    lost = 0
    for worker, earlier in zip(workers, before, strict=True):
        now = worker.report().ended
        lost += sum(now.get(end, 0) - earlier.get(end, 0) for end in now if end != "answered")
    stage.measure("calls_lost", lost)
    words = f"{count} calls with {', '.join(warm)}, and {lost} that were not answered."
    return (held if count >= len(workers) and not lost else broke)(words)


def _were_throttled(_: Stage, ground: Ground, _workers: Workers) -> Observation:
    counts = {name: ground.doors[name].counts()["faults"] for name in ground.throttled}
    words = ", ".join(f"{count} calls with {name}" for name, count in counts.items())
    return (held if all(counts.values()) else broke)(f"It answered 429 to {words}.")


def _scope_is_known(_: Stage, ground: Ground, _workers: Workers) -> Observation:
    wrong = known.wrong_about_buckets(Address(ground.store)) or known.wrong_about_workers()
    return (
        broke(wrong) if wrong else held("It was frozen, stayed so and thawed as was worked out, here and in the store.")
    )


_COLD = "no call goes out with a frozen key"

two_of_three: Experiment[Ground, Workers] = Experiment(
    row="R001.4",
    variant="two-of-three",
    title="Two of three keys are throttled, and the fleet goes on with the third",
    safety=Safety.SAFE,
    fault="the provider answers 429 to two of three keys, and asks for 30 s of patience (Retry-After)",
    sources=(
        "prodsprints.controls.providers.guards",
        "prodsprints.controls.providers.leases",
        "prodsprints.guard.keys",
        "prodsprints.store.migrations.versions.r0006_fleet:0006_fleet.sql",
    ),
    uses=(
        "prodsprints.controls.providers.breaker",
        "prodsprints.controls.providers.budget",
        "prodsprints.controls.providers.crew",
        "prodsprints.controls.providers.fleet",
        "prodsprints.controls.providers.known",
        "prodsprints.controls.providers.known:known.json",
        "prodsprints.controls.providers.limit_drills",
        "prodsprints.controls.providers.link",
        "prodsprints.guard",
    ),
    peers=(STORE, PROVIDER),
    stand=contextmanager(_ground(throttled=("a", "b"), cold=("a", "b"))),
    treatment=contextmanager(_fleet(guarded=True, scopes={})),
    placebo=contextmanager(_fleet(guarded=False, scopes={})),
    steady=(Probe("a call is answered", _answers),),
    inject=_some_are_throttled,
    seen=Probe("the provider throttled", _were_throttled),
    probes=(Probe(_COLD, _no_call_to_the_cold), Probe("work goes on with the others", _work_goes_on)),
    named=_COLD,
    after=(Probe("known questions to a scope have known answers", _scope_is_known),),
    limit_seconds=50.0,  # 8 s on a machine that does nothing else
    scale="three of the workers are processes of their own, the fourth is the drill's and is throttled first",
)

shared_scope = replace(
    two_of_three,
    variant="shared-scope",
    title="A throttled key takes along the one that shares its quota, and no other",
    fault="the provider answers 429 to one key, whose account has another one, and asks for 30 s of patience",
    stand=contextmanager(_ground(throttled=("a",), cold=("a", "b"))),
    treatment=contextmanager(_fleet(guarded=True, scopes={"a": "one account", "b": "one account"})),
    after=(),
)
