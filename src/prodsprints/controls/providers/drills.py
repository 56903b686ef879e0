"""The drills of R001: AWS throttles, one caller again and again, and many callers at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

from prodsprints.controls.providers import account as accounts
from prodsprints.controls.providers import peers
from prodsprints.controls.providers.account import Account, Place
from prodsprints.controls.providers.answers import Identity
from prodsprints.controls.providers.errors import ProviderRefusedError, ProviderUnavailableError
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.peers import ACCOUNT, MOTO, REGION, Bare, Cloud
from prodsprints.drills.experiment import Experiment, Observation, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.guard import Clock, RateLimitError, full_jitter
from prodsprints.guard.clock import SYSTEM
from prodsprints.kernel.errors import ProdSprintsError

_SOURCES = (
    "prodsprints.controls.providers.account",
    "prodsprints.controls.providers.aws",
    "prodsprints.guard.retry",
    "prodsprints.guard.retry_after",
)
_USES = ("prodsprints.controls.integrations.last_good", "prodsprints.controls.providers.guards", "prodsprints.guard")

_ERROR = "<ErrorResponse><Error><Code>{}</Code><Message>The drill says so</Message></Error></ErrorResponse>"
_SCALE = 1 / 20
_RETRY_AFTER_SECONDS = 2
_SHARE = 0.8  # of five requests of one caller the first four are turned away
_STORM_SECONDS = 60.0
_CALLS = 5
_LONGEST_WAITS_SECONDS = (1, 2, 4, 8)
_SLACK_SECONDS = 0.25  # of a busy machine

_CALLERS = 20
_HERD_SECONDS = 1.5
_WINDOW_SECONDS = 0.1
_MOST_IN_WINDOW = 0.75

Caller = Account | Bare


class _Hurried:
    """Time that passes 20 times as fast: all waits shrink alike, those that the provider asks for too."""

    def now(self) -> float:
        return time.monotonic() / _SCALE

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds * _SCALE)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds * _SCALE)


def _ours(clock: Clock) -> Callable[[Stage, Cloud], Iterator[Caller]]:
    def build(stage: Stage, cloud: Cloud) -> Iterator[Caller]:
        place = Place(ACCOUNT, REGION, cloud.origin.url)
        with accounts.opened(place, home=stage.directory / "home", guards=Guards(clock=clock)) as account:
            yield account

    return build


@contextmanager
def _bare(_: Stage, cloud: Cloud) -> Iterator[Caller]:
    with peers.bare(cloud) as caller:
        yield caller


@contextmanager
def _storm(_: Stage, cloud: Cloud) -> Iterator[None]:
    with cloud.origin.answering(
        status=400,  # as AWS does it: only the code in the body says that it is a matter of rate
        share=_SHARE,
        retry_after_seconds=_RETRY_AFTER_SECONDS,
        body=_ERROR.format("Throttling"),
        content_type="text/xml",
        ttl_seconds=_STORM_SECONDS,
    ):
        yield


@contextmanager
def _herd(_: Stage, cloud: Cloud) -> Iterator[None]:
    with cloud.origin.answering(status=429, retry_after_seconds=1, ttl_seconds=_HERD_SECONDS):
        yield


def _asked(stage: Stage, caller: Caller) -> tuple[bool, str]:
    began = time.monotonic()
    try:
        found = caller.identity()
        answered, words = isinstance(found, Identity) and found.account == ACCOUNT, f"It answered {found}."
    except ProdSprintsError as error:
        answered, words = False, f"{type(error).__name__}: {error.what} {error.why}".strip()
    stage.sample(answered, time.monotonic() - began, "GetCallerIdentity")
    return answered, words


def _arrivals(cloud: Cloud) -> list[float]:
    return [float(at) for at in cloud.origin.counts()["times"]]


def _answers(stage: Stage, _: Cloud, caller: Caller) -> Observation:
    answered, words = _asked(stage, caller)
    return (held if answered else broke)(words)


def _all_complete(stage: Stage, _: Cloud, caller: Caller) -> Observation:
    lost = [words for answered, words in (_asked(stage, caller) for _ in range(_CALLS)) if not answered]
    stage.measure("calls_lost", len(lost))
    return broke(f"{len(lost)} of {_CALLS} calls failed. {lost[0]}") if lost else held(f"All {_CALLS} were answered.")


def _waits_as_it_should(_: Stage, cloud: Cloud, _caller: Caller) -> Observation:
    """The pauses within the calls just made: at least what AWS asks for, then a random rest whose bound doubles."""
    attempts = len(_LONGEST_WAITS_SECONDS) + 1
    times = _arrivals(cloud)[-_CALLS * attempts :]
    floor = _RETRY_AFTER_SECONDS * _SCALE
    calls = [times[at : at + attempts] for at in range(0, len(times), attempts)]
    rests = [[later - earlier - floor for earlier, later in pairwise(call)] for call in calls]
    if [len(each) for each in rests] != [attempts - 1] * _CALLS:
        return broke(f"{_CALLS} calls made {len(times)} requests since the storm began.")
    by_attempt = list(zip(*rests, strict=True))
    bounds = [seconds * _SCALE for seconds in _LONGEST_WAITS_SECONDS]
    shown = "; ".join(f"{min(some) * 1000:.0f} to {max(some) * 1000:.0f}" for some in by_attempt)
    words = f"Beyond Retry-After it waited, by attempt, {shown} ms."
    if any(min(some) < -0.002 for some in by_attempt):
        return broke(f"{words} That is less than AWS asked for.")
    if any(max(some) > bound + _SLACK_SECONDS for some, bound in zip(by_attempt, bounds, strict=True)):
        return broke(f"{words} That is more than its back-off allows: {', '.join(f'{bound:g}' for bound in bounds)} s.")
    if any(max(some) - min(some) < bound / 20 for some, bound in zip(by_attempt, bounds, strict=True)):
        return broke(f"{words} That is no random wait.")
    if max(by_attempt[-1]) < bounds[0]:
        return broke(f"{words} That does not grow.")
    return held(words)


def _was_throttled(_: Stage, cloud: Cloud, _caller: Caller) -> Observation:
    counts = cloud.origin.counts()
    words = f"{counts['faults']} of {counts['requests']} requests were throttled."
    return (held if counts["faults"] else broke)(words)


def _makes_no_other_call_again(_: Stage, cloud: Cloud, caller: Caller) -> Observation:
    for status, code, kind, requests in (
        (403, "AccessDenied", ProviderRefusedError, 1),
        (500, "InternalFailure", ProviderUnavailableError, 1),
        (429, "TooManyRequestsException", RateLimitError, len(_LONGEST_WAITS_SECONDS) + 1),
    ):
        before = len(_arrivals(cloud))
        body = _ERROR.format(code)
        with cloud.origin.answering(status=status, body=body, content_type="text/xml", ttl_seconds=10):
            try:
                return broke(f"It answered {caller.identity()}.")
            except ProdSprintsError as error:
                made = len(_arrivals(cloud)) - before
                if not isinstance(error, kind):
                    return broke(f"It takes {status} for a {type(error).__name__}: {error.what}")
        if made != requests:
            return broke(f"Answered {status} each time, it made {made} requests, not {requests}.")
    return held("After 403 and after 500 it made one request, throttled each time five, and told the three apart.")


def _keeps_productions_times(_: Stage, _cloud: Cloud, _caller: Caller) -> Observation:
    """The longest rests before each further attempt, with a bound that five attempts never come to."""
    longest = full_jitter(random=lambda: 1.0)
    seconds = [longest(cast("Any", SimpleNamespace(attempt_number=tried))) for tried in (*range(1, 9), 5_000)]
    words = f"Up to {', '.join(f'{each:g}' for each in seconds)} s."
    return (held if seconds == [1, 2, 4, 8, 16, 32, 60, 60, 60] else broke)(words)


def _all_callers_complete(stage: Stage, _cloud: Cloud, caller: Caller) -> Observation:
    start = threading.Barrier(_CALLERS)

    def call(_: int) -> tuple[bool, str]:
        start.wait()
        return _asked(stage, caller)

    began = time.monotonic()
    with ThreadPoolExecutor(_CALLERS) as pool:
        lost = [words for answered, words in pool.map(call, range(_CALLERS)) if not answered]
    stage.measure("calls_lost", len(lost))
    if lost:
        return broke(f"{len(lost)} of {_CALLERS} calls failed. {lost[0]}")
    stage.measure("recover_seconds", time.monotonic() - began)
    return held(f"All {_CALLERS} were answered within {time.monotonic() - began:.1f} s.")


def _come_back_apart(_: Stage, cloud: Cloud, _caller: Caller) -> Observation:
    """No wave: of the callers that were turned away together no 0.1 s see more than three in four come back.

    Without jitter all of them would, since they were all asked to wait for the same second.
    """
    times = _arrivals(cloud)[-_CALLERS:]
    densest = max(sum(at <= other < at + _WINDOW_SECONDS for other in times) for at in times)
    words = f"Of the last {_CALLERS} requests {densest} came within {_WINDOW_SECONDS:g} s."
    return (held if densest <= _MOST_IN_WINDOW * _CALLERS else broke)(words)


throttling_storm: Experiment[Cloud, Caller] = Experiment(
    row="R001.1",
    variant="throttling-storm",
    title="Every call is answered while AWS throttles four of five",
    safety=Safety.SAFE,
    fault="AWS answers Throttling to 8 of 10 calls, and asks for 2 s of patience (Retry-After)",
    sources=_SOURCES,
    uses=_USES,
    peers=(MOTO,),
    stand=peers.cloud,
    treatment=contextmanager(_ours(_Hurried())),
    placebo=_bare,
    steady=(Probe("a call is answered", _answers),),
    inject=_storm,
    seen=Probe("AWS throttled", _was_throttled),
    probes=(
        Probe("all calls complete", _all_complete),
        Probe("the waits are as long as AWS asks for, and random beyond", _waits_as_it_should),
    ),
    named="all calls complete",
    limit_seconds=40.0,
    after=(
        Probe("only throttled calls are made again", _makes_no_other_call_again),
        Probe("production's own times are as stated", _keeps_productions_times),
    ),
    scale="waits are 1/20 of production's, the provider's Retry-After included",
)

thundering_herd: Experiment[Cloud, Caller] = Experiment(
    row="R001.1",
    variant="thundering-herd",
    title="Twenty callers that AWS turned away together come back apart",
    safety=Safety.SAFE,
    fault=f"AWS answers 429 to every call for {_HERD_SECONDS:g} s, and asks for 1 s of patience (Retry-After)",
    sources=_SOURCES,
    uses=_USES,
    peers=(MOTO,),
    stand=peers.cloud,
    treatment=contextmanager(_ours(SYSTEM)),
    placebo=_bare,
    steady=(Probe("a call is answered", _answers),),
    inject=_herd,
    seen=Probe("AWS throttled", _was_throttled),
    probes=(
        Probe("all calls complete", _all_callers_complete),
        Probe("the callers come back apart", _come_back_apart),
    ),
    named="all calls complete",
    limit_seconds=40.0,
)
