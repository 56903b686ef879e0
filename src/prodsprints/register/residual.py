"""What is left of a risk: its rate of events once the controls that are proven stand in its failure paths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from prodsprints.register.effectiveness import CEILING
from prodsprints.register.model import FailurePath, Risk
from prodsprints.register.rating import Probability, Rating, band, rate

_UNPROTECTED = (FailurePath("every way", 1.0),)


@dataclass(frozen=True)
class Exposure:
    """How often a risk is expected to happen, as events per year and as what the register says of that."""

    events_per_year: float
    chance: float
    probability: Probability
    rating: Rating


def inherent(risk: Risk) -> Exposure:
    """With no control credited: from the middle of the band that the document puts the risk in."""
    return _in_the_middle(risk.probability, risk.rating)


@cache
def _in_the_middle(probability: Probability, rating: Rating) -> Exposure:
    return Exposure(-math.log1p(-probability.middle), probability.middle, probability, rating)


def residual(risk: Risk, effectiveness: Mapping[str, float]) -> Exposure:
    """With each row credited as `effectiveness` has it by its id; a row that is not in there holds nothing.

    A failure path keeps its share of the events but for what the rows on it hold back, each a part of what the others
    let through. A risk without declared paths has one, which nothing holds.
    """
    before, paths = inherent(risk), risk.paths or _UNPROTECTED
    let_through = math.fsum(path.share * _let_through(risk, path, effectiveness) for path in paths)
    left = let_through / math.fsum(path.share for path in paths)  # which is 1 but for rounding
    if left >= 1:
        return before
    events = before.events_per_year * left
    chance = -math.expm1(-events)
    probability = min(band(chance), before.probability)
    return Exposure(events, chance, probability, rate(risk.level, probability))


def target(risk: Risk) -> Exposure | None:
    """What the plan could come to, with every row that is to hold a path at its best; None if no row is."""
    planned = {row for path in risk.paths for row in path.held_by}
    return residual(risk, dict.fromkeys(planned, CEILING)) if planned else None


def _let_through(risk: Risk, path: FailurePath, effectiveness: Mapping[str, float]) -> float:
    holders = (row for row in risk.mitigations if row.id in path.held_by)
    best: dict[str, float] = {}
    for row in holders:
        dependency = _dependency(row.control) or row.id
        best[dependency] = max(best.get(dependency, 0.0), effectiveness.get(row.id, 0.0))
    return math.prod(1 - held for held in best.values())


def _dependency(control: str | None) -> str:
    # Rows whose controls live in one module fail together, when it does: they hold a path once, by the best of them.
    return (control or "").partition(":")[0]
