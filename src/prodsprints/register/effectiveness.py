"""How far a control that has been drilled can be relied on: a cautious figure from its passes and failures."""

from __future__ import annotations

import math
from functools import lru_cache

CEILING = 0.9
"""No number of passes makes a control surer than this: drills break what their author thought of."""

_CAUTION = 0.05
_MOST_HALVINGS = 200
_MOST_TERMS = 20_000  # about the root of the larger parameter is needed
_TINY = 1e-300


@lru_cache(maxsize=65_536)
def effectiveness(passes: int, failures: int) -> float:
    """The 5 % quantile of Beta(½ + passes, ½ + failures), at most `CEILING`; 0 for a control that never held."""
    if passes <= 0:
        return 0.0
    return min(CEILING, quantile(_CAUTION, passes + 0.5, failures + 0.5))


def quantile(share: float, a: float, b: float) -> float:
    """The x below which `share` of Beta(a, b) lies, to about twelve digits.

    By bisection on the distribution function: it is monotone, so this cannot miss, and the results are cached.
    """
    low, high = 0.0, 1.0
    for _ in range(_MOST_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if distribution(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def distribution(x: float, a: float, b: float) -> float:
    """The share of Beta(a, b) that lies below x: the regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction below converges fast only on the near side of the mean
        return 1 - distribution(1 - x, b, a)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    # Lentz's evaluation of the continued fraction, https://dlmf.nist.gov/8.17.E22
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            step = c * d
            value *= step
        if abs(step - 1) < 1e-15:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
