"""How a service is, as a pure function of the looks at it: up, degraded or down, and unknown where nobody looked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Level(StrEnum):
    """How a service is. Unknown is no fourth way to be: nobody looked, or not long enough to say."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What one look at a service showed."""

    WELL = "well"
    SLOW = "slow"
    FAILED = "failed"


@dataclass(frozen=True)
class Observation:
    """One look: when it ended, how long it took, and in `words` that anybody may read what was wrong.

    `settled`: whoever looked has seen it more than once already, as a guard has whose circuit is open.
    """

    at: datetime
    outcome: Outcome
    seconds: float = 0.0
    words: str = ""
    settled: bool = False


@dataclass(frozen=True)
class Trouble:
    """What a service has been in since `began_at`; `level` is the worst of it."""

    began_at: datetime
    level: Level
    words: str


@dataclass(frozen=True)
class Standing:
    """How a service is now, and what has to be remembered to say how it is after the next look."""

    level: Level = Level.UNKNOWN
    since: datetime | None = None
    recent: tuple[Outcome, ...] = ()
    seen_at: datetime | None = None
    trouble: Trouble | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the last look agrees with the level; if not, the next one comes soon."""
        last = self.recent[-1] if self.recent else Outcome.WELL
        match self.level:
            case Level.UNKNOWN:
                return False
            case Level.DOWN:
                return last is Outcome.FAILED
            case Level.DEGRADED:
                return last is not Outcome.FAILED
        return last is Outcome.WELL


@dataclass(frozen=True)
class Span:
    """A stretch of measured time at one level."""

    level: Level
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Ended:
    """A trouble that is over; `is_known` is false where nobody looked when it ended, only that it lasted until then."""

    trouble: Trouble
    at: datetime
    is_known: bool


@dataclass(frozen=True)
class Folded:
    """What one look made of a standing: the new one, the time that is measured by it, and what it ended."""

    standing: Standing
    span: Span | None = None
    ended: Ended | None = None


_MOST_RECENT = 5
_BACK_AFTER = 3
_WORSE = {Level.UNKNOWN: 0, Level.UP: 1, Level.DEGRADED: 2, Level.DOWN: 3}


def worst(*levels: Level) -> Level:
    """The worst of them; what is unknown says nothing."""
    return max(levels, key=_WORSE.__getitem__, default=Level.UNKNOWN)


def fold(standing: Standing, seen: Observation, *, longest_gap_seconds: float) -> Folded:
    """The standing after `seen`. Between two looks the worse of what both showed is counted, and after a gap nothing.

    A clock that went backwards adds no time: the look counts as if it had come just after the one before.
    """
    standing, ended = _lapsed(standing, seen.at, longest_gap_seconds)
    before = standing.seen_at
    at = seen.at if before is None else max(seen.at, before)
    recent = (*standing.recent, *([seen.outcome] * (2 if seen.settled else 1)))[-_MOST_RECENT:]
    level = _decided(standing.level, recent)
    if level is Level.UP and standing.level is not Level.UP:
        recent = recent[-1:]  # what it has come back from is not held against it
    counted = worst(standing.level, level)
    span = Span(counted, before, at) if before is not None and before < at and counted is not Level.UNKNOWN else None
    trouble = standing.trouble
    if level in {Level.DEGRADED, Level.DOWN}:
        if trouble is None:
            trouble = Trouble(at if before is None else before, level, seen.words)
        elif worst(trouble.level, level) is not trouble.level:
            trouble = replace(trouble, level=level, words=seen.words)
    elif trouble is not None:
        ended, trouble = Ended(trouble, at, is_known=True), None
    since = standing.since if standing.since is not None and level is standing.level else at
    return Folded(Standing(level, since, recent, at, trouble), span, ended)


def shown(standing: Standing, now: datetime, *, longest_gap_seconds: float) -> Level:
    """How the service is said to be at `now`: unknown, once nobody has looked for too long."""
    if standing.seen_at is None or now - standing.seen_at > timedelta(seconds=longest_gap_seconds):
        return Level.UNKNOWN
    return standing.level


def _lapsed(standing: Standing, at: datetime, longest_gap_seconds: float) -> tuple[Standing, Ended | None]:
    if standing.seen_at is None or at - standing.seen_at <= timedelta(seconds=longest_gap_seconds):
        return standing, None
    ended = None if standing.trouble is None else Ended(standing.trouble, standing.seen_at, is_known=False)
    return Standing(), ended


def _decided(level: Level, recent: tuple[Outcome, ...]) -> Level:
    """One look decides nothing, but that a service that nobody knew of is up."""
    last, pair = recent[-1], recent[-2:]
    if pair == (Outcome.FAILED, Outcome.FAILED):
        return Level.DOWN
    if level is Level.DOWN:
        if Outcome.FAILED in pair:
            return Level.DOWN
        return Level.UP if pair == (Outcome.WELL, Outcome.WELL) else Level.DEGRADED
    bad = sum(outcome is not Outcome.WELL for outcome in recent)
    if level is Level.DEGRADED:
        return Level.UP if recent[-_BACK_AFTER:] == (Outcome.WELL,) * _BACK_AFTER else Level.DEGRADED
    if bad >= 2:
        return Level.DEGRADED
    return Level.UP if level is Level.UP or last is Outcome.WELL else Level.UNKNOWN
