"""Two comparisons of concurrent error counts that stay valid however often one looks, for the verdict.

Both are e-processes: nonnegative supermartingales with mean at most 1 under the claim they argue against, so the
chance that they *ever* reach 1/α is at most α (Ville's inequality; Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic
statistics and safe anytime-valid inference", Statistical Science 2023). Both compare the arms only within a tick, so
neither a change of weights nor a fault that hits both arms at once moves them (Simpson's paradox has no purchase).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, log1p

# How many times as many errors the canary may make: near 1 for a small harm in much traffic, 50 for a broken build.
_MULTIPLIERS = (1.25, 1.75, 2.5, 3.5, 5.0, 7.0, 9.5, 13.0, 18.0, 26.0, 36.0, 50.0)

# The sizes of the bets behind the bound: 1 is best while no canary error was seen, small ones where errors are common.
_STAKES = (0.03, 0.08, 0.2, 0.4, 0.7, 1.0)


class ExcessErrors:
    """Evidence that the canary errs more often than the stable arm.

    Were it no worse, then of the tick's errors each would fall on the canary with probability π, its observed share
    of the tick's requests, or less. The e-value is the mean over multipliers m of the cumulative likelihood ratio
    "m times the odds" : "the same odds". (Sampling without replacement makes the true law hypergeometric; the ratio
    is convex in the count, so the binomial mean of 1 is an upper limit: Hoeffding 1963, theorem 4.)
    """

    def __init__(self) -> None:
        self._logs = [0.0] * len(_MULTIPLIERS)

    def add(self, stable_requests: int, stable_errors: int, canary_requests: int, canary_errors: int) -> None:
        errors = stable_errors + canary_errors
        if not (errors and stable_requests and canary_requests):
            return  # the ratio is exactly 1: nothing to divide between two arms
        share = canary_requests / (stable_requests + canary_requests)
        for index, (multiplier, log_multiplier) in enumerate(_MULTIPLIER_LOGS):
            self._logs[index] += canary_errors * log_multiplier - errors * log1p(share * (multiplier - 1))

    @property
    def log_e_value(self) -> float:
        return _log_mean_exp(self._logs)


class DifferenceBound:
    """An upper bound on how far the canary's error rate lies above the stable arm's: (canary − stable).

    With shares π and 1−π of a tick's requests and a stake θ in (0, 1], each stable error multiplies the process by
    1+θπ, each canary error by 1−θ(1−π), and time by exp(dθw), where w = canary·stable/(canary+stable) requests is the
    Mantel–Haenszel weight of the tick. As E(1+a)^errors ≤ exp(a·mean), its mean is at most 1 when the true difference
    is d or more: with no approximation, with zero errors, with any error rate the arms share at the time. The bound is
    the smallest d that the mean over the stakes refutes at α. It therefore covers the weighted mean difference to
    date at all looks together, where a fixed-sample bound (Miettinen–Nurminen, Sato) holds at one look chosen ahead.
    """

    def __init__(self, alpha: float) -> None:
        self._target = -log(alpha)
        self._logs = [0.0] * len(_STAKES)
        self._weight = 0.0

    def add(self, stable_requests: int, stable_errors: int, canary_requests: int, canary_errors: int) -> None:
        if not (stable_requests and canary_requests):
            return  # without both arms at the same time there is no difference to learn about
        share = canary_requests / (stable_requests + canary_requests)
        self._weight += stable_requests * share
        if not (stable_errors or canary_errors):
            return
        for index, stake in enumerate(_STAKES):
            stable_gain = stable_errors * log1p(stake * share)
            canary_loss = canary_errors * log(1 - stake + stake * share)
            self._logs[index] += stable_gain + canary_loss

    @property
    def upper(self) -> float:
        """The bound, from −1 to 1; 1 while nothing was compared."""
        if not self._weight:
            return 1.0
        slopes = [stake * self._weight for stake in _STAKES]
        ceiling = self._target + log(len(_STAKES))
        # At this point one stake refutes alone, so the root lies at or below it; Newton's steps on a convex, rising
        # function then come down to the root without passing it: every iterate is itself a valid bound.
        bound = min((ceiling - start) / slope for start, slope in zip(self._logs, slopes, strict=True))
        for _ in range(_NEWTON_STEPS):
            logs = [start + slope * bound for start, slope in zip(self._logs, slopes, strict=True)]
            peak = max(logs)
            terms = [exp(value - peak) for value in logs]
            total = sum(terms)
            excess = peak + log(total / len(terms)) - self._target
            slope = sum(term * slope for term, slope in zip(terms, slopes, strict=True)) / total
            step = excess / slope
            bound -= step
            if step < _PRECISION:
                break
        return max(-1.0, min(1.0, bound))


_MULTIPLIER_LOGS = tuple((multiplier, log(multiplier)) for multiplier in _MULTIPLIERS)
_NEWTON_STEPS = 30
_PRECISION = 1e-9


def _log_mean_exp(logs: Sequence[float]) -> float:
    peak = max(logs)
    return peak + log(sum(exp(value - peak) for value in logs) / len(logs))
