"""Where each risk lies: the cells of the heat map, by level and probability."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from prodsprints.register.assessment import Assessment
from prodsprints.register.model import Risk
from prodsprints.register.rating import Level, Probability, Rating, rate

_MOST_SHOWN = 12


@dataclass(frozen=True)
class Cell:
    """One cell of the map: where it lies, what it is rated, and the risks in it today.

    `moved` are those that would lie here without the controls that are proven.
    """

    level: Level
    probability: Probability
    rating: Rating
    risks: tuple[Risk, ...]
    moved: tuple[Risk, ...] = ()

    @property
    def shown(self) -> tuple[Risk, ...]:
        """As many of its risks as one can still read."""
        return self.risks[:_MOST_SHOWN]

    @property
    def hidden(self) -> int:
        """How many more there are."""
        return len(self.risks) - len(self.shown)

    @property
    def ghosts(self) -> tuple[Risk, ...]:
        """As many of those that moved away as there is room for."""
        return self.moved[: _MOST_SHOWN - len(self.shown)]

    @property
    def lines(self) -> int:
        """How many lines all that takes."""
        return len(self.shown) + bool(self.hidden) + len(self.ghosts)


Grid = tuple[tuple[Cell, ...], ...]


def grid(risks: Iterable[Risk], assessment: Assessment | None = None) -> Grid:
    """The rows of the map, critical first, each with its five cells from very unlikely to very likely.

    Without an `assessment` no control is credited, and every risk lies where its document puts it.
    """
    here: defaultdict[tuple[Level, Probability], list[Risk]] = defaultdict(list)
    moved: defaultdict[tuple[Level, Probability], list[Risk]] = defaultdict(list)
    for risk in risks:
        today = assessment.risks[risk.id].residual.probability if assessment else risk.probability
        here[risk.level, today].append(risk)
        if today is not risk.probability:
            moved[risk.level, risk.probability].append(risk)
    return tuple(
        tuple(
            Cell(
                level,
                probability,
                rate(level, probability),
                tuple(here[level, probability]),
                tuple(moved[level, probability]),
            )
            for probability in Probability
        )
        for level in Level
    )
