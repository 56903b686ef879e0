"""How long an address may be used, decided without a clock of its own: fresh, due, stale (RFC 8767), gone."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import StrEnum

_MOST_NAMES = 1_000


class Freshness(StrEnum):
    """What may be done with an address that is known."""

    FRESH = "fresh"
    DUE = "due"  # good, and soon to run out: refresh it beside the answer
    EXPIRED = "expired"  # ask again; serve it only if nobody answers
    RESTING = "resting"  # nobody answered a moment ago: serve it without asking again
    GONE = "gone"


@dataclass(frozen=True)
class Known:
    """What a server said of a name, when, and since when (if so) nobody could be asked again."""

    addresses: tuple[str, ...]
    ttl_seconds: float
    received_at: float
    failed_at: float | None = None


@dataclass(frozen=True)
class Bounds:
    """For how long answers are used, in seconds.

    A server's time to live counts between `floor_seconds`, since a burst of calls need not be a burst of questions,
    and `ceiling_seconds`, since a mistake in a zone must not stay for weeks. The last `prefetch_share` of it is when a
    used name is refreshed ahead of time. `stale_seconds` and `rest_seconds` are RFC 8767's maximum stale timer and
    failure recheck timer, with the values that it advises.
    """

    floor_seconds: float = 10.0
    ceiling_seconds: float = 6 * 3600.0
    prefetch_share: float = 0.1
    stale_seconds: float = 3 * 86_400.0
    rest_seconds: float = 30.0

    def lifetime(self, ttl_seconds: float) -> float:
        """The time to live that counts."""
        return min(max(ttl_seconds, self.floor_seconds), self.ceiling_seconds)

    def freshness(self, known: Known, now: float) -> Freshness:
        """What may be done with `known` at the moment `now`, of the clock that its times are of."""
        lifetime = self.lifetime(known.ttl_seconds)
        age = now - known.received_at
        if age < lifetime * (1 - self.prefetch_share):
            return Freshness.FRESH
        if age < lifetime:
            return Freshness.DUE
        if age >= lifetime + self.stale_seconds:
            return Freshness.GONE
        resting = known.failed_at is not None and now - known.failed_at < self.rest_seconds
        return Freshness.RESTING if resting else Freshness.EXPIRED

    def scaled(self, factor: float) -> Bounds:
        """The same with every duration multiplied by `factor`, for drills that cannot wait for days."""
        durations = ("floor_seconds", "ceiling_seconds", "stale_seconds", "rest_seconds")
        return replace(self, **{name: getattr(self, name) * factor for name in durations})


class Cache:
    """The names known, at most a thousand: the one that was not asked for the longest makes room."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Known] = OrderedDict()

    def get(self, name: str) -> Known | None:
        """What is known of `name`."""
        if name not in self._known:
            return None
        self._known.move_to_end(name)
        return self._known[name]

    def put(self, name: str, known: Known) -> None:
        """Remember `known`."""
        self._known[name] = known
        self._known.move_to_end(name)
        while len(self._known) > _MOST_NAMES:
            self._known.popitem(last=False)

    def drop(self, name: str) -> None:
        """Forget `name`: it was said not to exist."""
        self._known.pop(name, None)

    def __len__(self) -> int:
        return len(self._known)
