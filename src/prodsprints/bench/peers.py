"""How others decide on a canary, as each is commonly set up, for comparison with the verdict on the same streams.

Each peer takes streams and says, per run, at which second it first rolls back (infinity: never). Where an error means
"worse" they are one-sided, as ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prodsprints.bench.streams import Rates, Streams

_Z_AT_ONE_PERCENT = 2.3263478740408408
_THRESHOLD = 0.03
_STRIKES = 3


def threshold_three_strikes(streams: Streams) -> Rates:
    """Rolls back when the canary's error rate since the last look was above 3 % three looks in a row."""
    struck = streams.canary_errors > _THRESHOLD * streams.canary_requests
    in_a_row = struck.copy()
    for back in range(1, _STRIKES):
        in_a_row[:, back:] &= struck[:, :-back]
        in_a_row[:, :back] = False
    return _first(in_a_row, streams)


def repeated_z(streams: Streams) -> Rates:
    """Tests the pooled totals so far at each look: two proportions, z-test, α = .01."""
    stable, canary = streams.stable_requests.cumsum(1), streams.canary_requests.cumsum(1)
    stable_errors, canary_errors = streams.stable_errors.cumsum(1), streams.canary_errors.cumsum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (stable_errors + canary_errors) / (stable + canary)
        error = np.sqrt(pooled * (1 - pooled) * (1 / stable + 1 / canary))
        z = (canary_errors / canary - stable_errors / stable) / error
    return _first(z > _Z_AT_ONE_PERCENT, streams)


def mann_whitney(streams: Streams) -> Rates:
    """Compares the error rates of all looks so far, canary against stable, by ranks at each look: α = .01."""
    return _first(mann_whitney_z(streams) > _Z_AT_ONE_PERCENT, streams)


def mann_whitney_z(streams: Streams) -> Rates:
    """The statistic at every look: scipy's `mannwhitneyu(method="asymptotic")`, kept up in one pass.

    A new pair of rates adds its own comparisons to U and its own ties to the variance; testing afresh at each look
    would take minutes. The test compares it with scipy.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        stable = np.nan_to_num(streams.stable_errors / streams.stable_requests)
        canary = np.nan_to_num(streams.canary_errors / streams.canary_requests)
    wins = np.zeros(streams.runs)
    ties = np.zeros(streams.runs)
    z = np.zeros((streams.runs, streams.ticks))
    for tick in range(streams.ticks):
        looks = tick + 1
        old_stable, new_stable = stable[:, :tick], stable[:, tick:looks]
        old_canary, new_canary = canary[:, :tick], canary[:, tick:looks]
        wins += _wins(new_canary, stable[:, :looks]) + _wins(old_canary, new_stable)
        like_stable = _equal(new_stable, old_stable) + _equal(new_stable, old_canary)
        like_canary = _equal(new_canary, stable[:, :looks]) + _equal(new_canary, old_canary)
        ties += 3.0 * like_stable * (like_stable + 1) + 3.0 * like_canary * (like_canary + 1)
        total = 2 * looks
        variance = looks * looks / 12 * (total + 1 - ties / (total * (total - 1)))
        with np.errstate(divide="ignore", invalid="ignore"):
            z[:, tick] = np.nan_to_num((wins - looks * looks / 2 - 0.5) / np.sqrt(variance), nan=0, posinf=0, neginf=0)
    return z


def _wins(canary: Rates, stable: Rates) -> Rates:
    return np.asarray((canary > stable).sum(1) + _equal(canary, stable) / 2)


def _equal(one: Rates, other: Rates) -> Rates:
    return np.asarray((one == other).sum(1), dtype=float)


def _first(crossed: NDArray[np.bool_], streams: Streams) -> Rates:
    return np.where(crossed.any(1), (crossed.argmax(1) + 1.0) * streams.tick_seconds, np.inf)
