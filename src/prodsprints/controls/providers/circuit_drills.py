"""The drill of R001.3: a provider dies, the whole fleet leaves it alone at once, and one probe finds it again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from prodsprints.controls.providers import known, limit_drills
from prodsprints.controls.providers.crew import Job, Report, crew
from prodsprints.controls.providers.limit_drills import (
    PROVIDER,
    STORE,
    TTL_OF_FAULTS_SECONDS,
    Ground,
    Workers,
    all_call,
    answers,
    arrivals,
    until,
)
from prodsprints.drills.experiment import Experiment, Observation, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.store.address import Address

_WORKERS = 4
_ANSWER_SECONDS = 0.2
_RECOVERY_SECONDS = 1.5
_WELL_SECONDS = 0.5
_OPEN_WITHIN_SECONDS = 0.25
_NOTICED_WITHIN_SECONDS = 4.0
_LEFT_ALONE_SECONDS = 1.0
_CLOSED_WITHIN_SECONDS = 8.0


@contextmanager
def _ground(stage: Stage) -> Iterator[Ground]:
    with limit_drills.ground(stage, seconds=_ANSWER_SECONDS) as ground:
        yield ground


def _fleet(*, guarded: bool) -> Callable[[Stage, Ground], Iterator[Workers]]:
    def build(_: Stage, ground: Ground) -> Iterator[Workers]:
        job = Job(
            (("only", ground.origin.url, ""),),
            rate=1000.0,
            burst=1000.0,
            store=ground.store if guarded else None,
            guarded=guarded,
            threads=1,
            recovery_seconds=_RECOVERY_SECONDS,
        )
        with crew([job] * _WORKERS) as workers:
            ground.workers = workers
            yield workers

    return build


@contextmanager
def _dies(stage: Stage, ground: Ground) -> Iterator[None]:
    """While all call it."""
    with all_call(stage, ground):
        time.sleep(_WELL_SECONDS)
        with ground.origin.answering(status=503, ttl_seconds=TTL_OF_FAULTS_SECONDS):
            ground.began = time.monotonic()
            yield


def _opens_for_all(stage: Stage, ground: Ground, workers: Workers) -> Observation:
    opened = _first(workers, "open", within=_NOTICED_WITHIN_SECONDS)
    if len(opened) < len(workers):
        return broke(f"Of {len(workers)} workers {len(opened)} have opened their circuits.")
    took = max(opened) - min(opened)
    stage.measure("detect_seconds", max(0.0, min(opened) - ground.began))
    words = f"The last of {len(workers)} circuits opened {took:.3f} s after the first."
    return (held if took <= _OPEN_WITHIN_SECONDS else broke)(words)


def _is_left_alone(stage: Stage, ground: Ground, workers: Workers) -> Observation:
    """From when the fleet has noticed until it is time for a probe."""
    noticed = max(_first(workers, "open", within=0.0), default=ground.began + _NOTICED_WITHIN_SECONDS / 2)
    begins = noticed + 2 * _OPEN_WITHIN_SECONDS
    ends = begins + _LEFT_ALONE_SECONDS - 2 * _OPEN_WITHIN_SECONDS
    until(ends)
    count = sum(begins <= at <= ends for at in arrivals(ground.origin, begins))
    stage.sample(count == 0, ends - begins, f"{count} calls to the dead provider")
    return (broke if count else held)(f"{count} calls came to it in {ends - begins:g} s.")


def _one_probe_at_a_time(_: Stage, ground: Ground, workers: Workers) -> Observation:
    begins = max(_first(workers, "open", within=0.0), default=ground.began) + 2 * _OPEN_WITHIN_SECONDS
    ends = begins + 2.5 * _RECOVERY_SECONDS
    until(ends)
    probes = [at for at in arrivals(ground.origin, begins) if at <= ends]
    apart = min((later - earlier for earlier, later in pairwise(probes)), default=_RECOVERY_SECONDS)
    words = f"{len(probes)} probes came in {ends - begins:g} s, at least {apart:.2f} s apart."
    return (held if 1 <= len(probes) <= 3 and apart >= 0.9 * _RECOVERY_SECONDS else broke)(words)


def _one_probe_closes_it(stage: Stage, ground: Ground, workers: Workers) -> Observation:
    """The provider works again, and takes a while for each answer: whoever else calls before is seen."""
    begins = time.monotonic()
    while not all(_is_closed(report) for report in (worker.report() for worker in workers)):
        if time.monotonic() > begins + _CLOSED_WITHIN_SECONDS:
            return broke(f"Not all circuits are closed after {_CLOSED_WITHIN_SECONDS:g} s.")
        time.sleep(0.02)
    stage.measure("recover_seconds", time.monotonic() - begins)
    calls = arrivals(ground.origin, begins)
    together = sum(at <= calls[0] + _ANSWER_SECONDS * 0.9 for at in calls)
    words = f"{together} call was made until it was answered, and all {len(workers)} workers call again."
    return (held if together == 1 else broke)(words)


def _circuit_is_known(_: Stage, ground: Ground, _workers: Workers) -> Observation:
    wrong = known.wrong_about_circuits(Address(ground.store))
    return broke(wrong) if wrong else held("It opened, gave out permits and closed as was worked out.")


def _breaker_is_known(_: Stage, _ground: Ground, _workers: Workers) -> Observation:
    wrong = known.wrong_about_breakers()
    return broke(wrong) if wrong else held("It admitted, counted, told and followed as was worked out.")


def _answered_503(_: Stage, ground: Ground, _workers: Workers) -> Observation:
    count = ground.origin.counts()["faults"]
    return (held if count else broke)(f"It answered 503 to {count} calls.")


def _first(workers: Workers, circuit: str, *, within: float) -> list[float]:
    """When each worker's circuit first was found so, of those where it was."""
    deadline = time.monotonic() + within
    while True:
        reports = [worker.report() for worker in workers]
        found = [next((at for at, seen in report.circuits if seen == circuit), None) for report in reports]
        moments = [at for at in found if at is not None]
        if len(moments) == len(workers) or time.monotonic() >= deadline:
            return moments
        time.sleep(0.02)


def _is_closed(report: Report) -> bool:
    return bool(report.circuits) and report.circuits[-1][1] == "closed"


_ALONE = "the dead provider is left alone"

dead_provider: Experiment[Ground, Workers] = Experiment(
    row="R001.3",
    variant="dead-provider",
    title="A dead provider is left alone by the whole fleet, until one probe finds it well",
    safety=Safety.SAFE,
    fault="the provider answers 503 to every call, while four workers call it again and again",
    sources=(
        "prodsprints.controls.providers.breaker",
        "prodsprints.guard.breaker",
        "prodsprints.store.migrations.versions.r0006_fleet:0006_fleet.sql",
    ),
    uses=(
        "prodsprints.controls.providers.budget",
        "prodsprints.controls.providers.crew",
        "prodsprints.controls.providers.fleet",
        "prodsprints.controls.providers.guards",
        "prodsprints.controls.providers.known",
        "prodsprints.controls.providers.known:known.json",
        "prodsprints.controls.providers.leases",
        "prodsprints.controls.providers.limit_drills",
        "prodsprints.controls.providers.link",
        "prodsprints.guard",
    ),
    peers=(STORE, PROVIDER),
    stand=_ground,
    treatment=contextmanager(_fleet(guarded=True)),
    placebo=contextmanager(_fleet(guarded=False)),
    steady=(Probe("a call is answered", answers),),
    inject=_dies,
    seen=Probe("the provider answered 503", _answered_503),
    probes=(
        Probe("all circuits are open within 0.25 s", _opens_for_all),
        Probe(_ALONE, _is_left_alone),
        Probe("the fleet sends one probe at a time", _one_probe_at_a_time),
    ),
    named=_ALONE,
    after=(
        Probe("one probe closes all circuits", _one_probe_closes_it),
        Probe("known questions to the fleet's circuit have known answers", _circuit_is_known),
        Probe("known questions to a worker's circuit have known answers", _breaker_is_known),
    ),
    limit_seconds=50.0,  # 12 s on a machine that does nothing else
    scale="circuits are open for 1.5 s, not for a minute; three workers are processes of their own, one is the drill's",
)
