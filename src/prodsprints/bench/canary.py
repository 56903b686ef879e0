"""`bench canary`: our verdict beside three usual ones on the same simulated rollouts.

Fifty requests a second, 1 % of them errors; the canary at 1, 5, 25 and 50 % for five minutes each. In each case every
method looks at the same moments: once a minute (20 looks) or every five seconds (240 looks). Seeds are fixed, so the
figures can be reproduced; ours come from the very code that judges a release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, isinf
from statistics import median

import numpy as np

from prodsprints.bench.peers import mann_whitney, repeated_z, threshold_three_strikes
from prodsprints.bench.report import Figure, Progress, Result
from prodsprints.bench.streams import STEP_SECONDS, Rates, Scenario, Streams, autocorrelated, global_incident, steady
from prodsprints.release.verdict import Judge, Policy, Tick

_PEERS: dict[str, Callable[[Streams], Rates]] = {
    "threshold-3-strikes": threshold_three_strikes,
    "repeated-z": repeated_z,
    "mann-whitney": mann_whitney,
}
_MINUTE = 60
_OFTEN = 5
_BLOCKS = 10


def cases(progress: Progress) -> Iterator[Result]:
    """All cases, each as soon as it is measured."""
    for number, case in enumerate(_CASES, start=1):
        progress(f"canary {number}/{len(_CASES)}: {case.name}, {case.runs:,} rollouts")
        yield case.measure(seed=number)


@dataclass(frozen=True)
class _Case:
    name: str
    scenario: Scenario
    measured: Callable[[_Case, Streams, _Ends], Result]
    runs: int = 1000
    tick_seconds: int = _OFTEN
    onset: float = 0.0
    bound: float | None = None

    def measure(self, *, seed: int) -> Result:
        streams = self.scenario.simulate(seed=seed, runs=self.runs, tick_seconds=self.tick_seconds)
        return self.measured(self, streams, _judge_all(streams))

    def result(self, unit: str, ours: Figure, peers: dict[str, float | None]) -> Result:
        return Result("canary", self.name, unit, ours, peers, self.bound)


@dataclass(frozen=True)
class _Ends:
    """Per run, at which second the verdict first rejected, and first kept before that; infinity: never."""

    rejected: list[float]
    kept: list[float]


def _judge_all(streams: Streams) -> _Ends:
    ends = [_judge(streams, run) for run in range(streams.runs)]
    return _Ends([rejected for rejected, _ in ends], [kept for _, kept in ends])


def _judge(streams: Streams, run: int) -> tuple[float, float]:
    """A judge that a rollout would ask at every look; one that it had kept by then could still be rejected."""
    judge, kept = Judge(Policy()), inf
    arms = (streams.stable_requests, streams.stable_errors, streams.canary_requests, streams.canary_errors)
    counts = zip(*(arm[run].tolist() for arm in arms), strict=True)
    for index, (stable_requests, stable_errors, canary_requests, canary_errors) in enumerate(counts):
        at, weight = streams.at(index), float(streams.weights[index])
        verdict = judge.look(Tick(at, weight, stable_requests, stable_errors, canary_requests, canary_errors))
        if verdict.decision == "reject":
            return at, kept
        if verdict.decision == "keep":
            kept = min(kept, at)
    return inf, kept


def _share_rolled_back(case: _Case, streams: Streams, ends: _Ends) -> Result:
    peers = {name: float(np.isfinite(peer(streams)).mean()) for name, peer in _PEERS.items()}
    return case.result("share", _share([not isinf(end) for end in ends.rejected]), dict(peers))


def _share_kept(case: _Case, streams: Streams, ends: _Ends) -> Result:
    """Kept at any look. The peers have no notion of enough data: what they never roll back in 20 minutes, they keep."""
    peers = {name: float(np.isinf(peer(streams)).mean()) for name, peer in _PEERS.items()}
    return case.result("share", _share([not isinf(end) for end in ends.kept]), dict(peers))


def _seconds_to_reject(case: _Case, streams: Streams, ends: _Ends) -> Result:
    peers = {name: _seconds(peer(streams).tolist(), case.onset).value for name, peer in _PEERS.items()}
    return case.result("s", _seconds(ends.rejected, case.onset), peers)


def _seconds_to_keep(case: _Case, _: Streams, ends: _Ends) -> Result:
    return case.result("s", _seconds(ends.kept, case.onset), {})


def _share(happened: list[bool]) -> Figure:
    """The share over all runs; its spread is that of ten blocks of them."""
    size = len(happened) // _BLOCKS
    blocks = [sum(happened[block * size : (block + 1) * size]) / size for block in range(_BLOCKS)]
    return Figure(sum(happened) / len(happened), len(happened), min(blocks), max(blocks))


def _seconds(ends: list[float], onset: float) -> Figure:
    """The median wait after `onset`. A run without an end waits for ever; one that ended before was a false alarm and
    says nothing of detection."""
    waits = [end - onset for end in ends if end > onset]
    return Figure(_finite(median(waits)), len(waits), _finite(min(waits)), _finite(max(waits)))


def _finite(seconds: float) -> float | None:
    return None if isinf(seconds) else seconds


_LATE = 2.5 * STEP_SECONDS

_CASES = (
    _Case("healthy", steady(), _share_rolled_back, runs=4000, tick_seconds=_MINUTE, bound=0.01),
    _Case("healthy-240-looks", steady(), _share_rolled_back, runs=2000, bound=0.01),
    _Case("global-incident", global_incident(), _share_rolled_back, runs=4000, tick_seconds=_MINUTE, bound=0.01),
    _Case("global-incident-240-looks", global_incident(), _share_rolled_back, runs=2000, bound=0.01),
    _Case("x3-detection", steady(3), _seconds_to_reject),
    _Case("x10-detection", steady(10), _seconds_to_reject, runs=4000, bound=90),
    _Case("x30-detection", steady(30), _seconds_to_reject),
    _Case("x10-late-detection", steady(10, onset=_LATE), _seconds_to_reject, onset=_LATE),
    _Case("kept-2-delta", steady(added=2 * Policy().delta), _share_kept, bound=0.05),
    _Case("healthy-kept", steady(), _seconds_to_keep),
    _Case("autocorrelated", autocorrelated(shared=False), _share_rolled_back, tick_seconds=_MINUTE),
    _Case("autocorrelated-shared", autocorrelated(shared=True), _share_rolled_back, tick_seconds=_MINUTE),
)
