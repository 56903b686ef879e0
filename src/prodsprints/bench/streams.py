"""Simulated canary rollouts, every run a reproducible stream of counts, for the `canary` benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]

REQUESTS_PER_SECOND = 50
ERROR_RATE = 0.01
WEIGHTS = (1, 5, 25, 50)
STEP_SECONDS = 300


@dataclass(frozen=True)
class Streams:
    """The counts of many rollouts at once: arrays of runs × ticks."""

    tick_seconds: int
    weights: Counts
    stable_requests: Counts
    stable_errors: Counts
    canary_requests: Counts
    canary_errors: Counts

    @property
    def runs(self) -> int:
        return int(self.stable_requests.shape[0])

    @property
    def ticks(self) -> int:
        return int(self.stable_requests.shape[1])

    def at(self, tick: int) -> float:
        """Seconds since the rollout began at the end of `tick`."""
        return float((tick + 1) * self.tick_seconds)


@dataclass(frozen=True)
class Scenario:
    """What befalls both arms: `rates(random, runs, end seconds of the ticks)` gives stable and canary error rates."""

    rates: Callable[[Generator, int, Rates], tuple[Rates, Rates]]

    def simulate(self, *, seed: int, runs: int, tick_seconds: int) -> Streams:
        """`runs` rollouts at 1, 5, 25 and 50 % for five minutes each."""
        random = np.random.default_rng(seed)
        ticks_per_step = STEP_SECONDS // tick_seconds
        weights = np.repeat(np.array(WEIGHTS), ticks_per_step)
        requests = random.poisson(REQUESTS_PER_SECOND * tick_seconds, (runs, weights.size))
        canary = random.binomial(requests, weights / 100)
        stable = requests - canary
        ends = np.arange(1, weights.size + 1, dtype=np.float64) * tick_seconds
        stable_rates, canary_rates = self.rates(random, runs, ends)
        return Streams(
            tick_seconds=tick_seconds,
            weights=weights,
            stable_requests=stable,
            stable_errors=random.binomial(stable, np.minimum(stable_rates, 1)),
            canary_requests=canary,
            canary_errors=random.binomial(canary, np.minimum(canary_rates, 1)),
        )


def steady(multiplier: float = 1.0, *, added: float = 0.0, onset: float = 0.0) -> Scenario:
    """The canary errs `multiplier` times as often plus `added`, from `onset` seconds on."""

    def rates(_: Generator, runs: int, ends: Rates) -> tuple[Rates, Rates]:
        stable = np.full((runs, ends.size), ERROR_RATE)
        return stable, np.where(ends > onset, stable * multiplier + added, stable)

    return Scenario(rates)


def global_incident(*, start: float = 480, end: float = 720, rate: float = 0.2) -> Scenario:
    """Both arms fail alike, a database down say, across the step from 5 to 25 %: pooled rates blame the canary."""

    def rates(_: Generator, runs: int, ends: Rates) -> tuple[Rates, Rates]:
        both = np.where((ends > start) & (ends <= end), rate, ERROR_RATE) * np.ones((runs, 1))
        return both, both

    return Scenario(rates)


def autocorrelated(*, shared: bool, minute: float = 0.5, spread: float = 0.7) -> Scenario:
    """Error rates that wander: the logarithm is an AR(1) process, with the same mean rate in both arms.

    `minute` is its correlation over one minute, `spread` its standard deviation (0.7: a bad quarter of an hour has
    some three times the errors of a good one). `shared` moves both arms together; otherwise each goes its own way,
    as with instances on two machines: the errors of an arm are then no independent draws, which every method assumes.
    """

    def rates(random: Generator, runs: int, ends: Rates) -> tuple[Rates, Rates]:
        step = minute ** ((ends[1] - ends[0]) / 60)

        def wander() -> Rates:
            noise = random.normal(0, spread, (runs, ends.size))
            noise[:, 1:] *= np.sqrt(1 - step**2)
            for tick in range(1, ends.size):
                noise[:, tick] += step * noise[:, tick - 1]
            return ERROR_RATE * np.exp(noise - spread**2 / 2)

        stable = wander()
        return stable, stable if shared else wander()

    return Scenario(rates)
