"""The one table that rates a risk, and the one scale of its probability.

Ratings are looked up, never multiplied: 2 × 5 and 5 × 2 are different risks.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from prodsprints.register.errors import RegisterError


class Level(StrEnum):
    """How bad it would be, in the document's own word; worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


Rating = Level
"""What level and probability come to: the same four words, looked up by `rate`."""


class Probability(IntEnum):
    """The chance of at least one such event within twelve months, in five bands."""

    VERY_UNLIKELY = 1
    UNLIKELY = 2
    POSSIBLE = 3
    LIKELY = 4
    VERY_LIKELY = 5

    @property
    def words(self) -> str:
        """The band's name for people: `Very unlikely`."""
        return self.name.replace("_", " ").capitalize()

    @property
    def share(self) -> str:
        """What the band covers, written as ARCHITECTURE.md does: `20–<40 %`."""
        return ("<20 %", "20–<40 %", "40–<60 %", "60–80 %", ">80 %")[self - 1]

    @property
    def middle(self) -> float:
        """The chance in the middle of the band, which stands for it where a number is needed."""
        return (0.1, 0.3, 0.5, 0.7, 0.9)[self - 1]


_L, _M, _H, _C = Rating.LOW, Rating.MEDIUM, Rating.HIGH, Rating.CRITICAL

_RATINGS = {  # columns: probability 1…5
    Level.CRITICAL: (_H, _H, _C, _C, _C),
    Level.HIGH: (_M, _M, _H, _H, _C),
    Level.MEDIUM: (_L, _M, _M, _H, _H),
    Level.LOW: (_L, _L, _L, _M, _M),
}


def rate(level: Level, probability: Probability) -> Rating:
    """The rating of a risk. Raises RegisterError for anything but a Level and a Probability: a guess would be wrong."""
    if not isinstance(level, Level) or not isinstance(probability, Probability):
        raise RegisterError(
            f"{level!r} with probability {probability!r} has no rating.",
            next_step="Give one of the four levels, and a probability from 1 to 5.",
        )
    return _RATINGS[level][probability - 1]


def band(chance: float) -> Probability:
    """The band that `chance`, from 0 to 1, lies in; exactly 0.8 is still `LIKELY`.

    Raises RegisterError for NaN and for anything outside 0…1: clamping would hide the mistake that made it.
    """
    if isinstance(chance, bool) or not isinstance(chance, int | float) or not 0 <= chance <= 1:
        raise RegisterError(f"{chance!r} is no probability.", next_step="Give a number from 0 to 1.")
    if chance > 0.8:
        return Probability.VERY_LIKELY
    edges = (0.2, 0.4, 0.6)
    return Probability(1 + sum(chance >= edge for edge in edges))
