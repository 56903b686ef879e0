"""One provider as the whole platform sees it: what all its processes posted, put together; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from prodsprints.controls.providers.dependencies.board import Posted
from prodsprints.controls.providers.dependencies.sighting import SLOT_SECONDS, SLOTS, Slot
from prodsprints.guard import Circuit, Durations, Outcome

_WORST_FIRST = (Circuit.OPEN, Circuit.HALF_OPEN, Circuit.CLOSED)
_RATE_SLOTS = 2
_MOST_TRIPS = 10


@dataclass(frozen=True)
class Process:
    """What one process sees of the provider, or last saw."""

    worker: str
    heard_seconds_ago: float
    is_fresh: bool
    circuit: Circuit
    in_flight: int
    limit: float
    rate: float
    trips: int
    retry_tokens: float
    retry_reserve: float


@dataclass(frozen=True)
class Scope:
    """A quota scope with its keys. `shared` names the bucket that the fleet spends together; empty if each process has
    its own, whose rates are then added up. `remaining` is what the fleet has left, as far as anybody knows."""

    name: str
    shared: str
    keys: tuple[str, ...]
    rate: float | None
    burst: float | None
    remaining: float | None
    frozen_seconds: float

    @property
    def used_share(self) -> float | None:
        """How empty the bucket is, from 0 to 1; None where nothing counts."""
        if self.remaining is None or not self.burst:
            return None
        return min(1.0, max(0.0, 1.0 - self.remaining / self.burst))


@dataclass(frozen=True)
class Common:
    """What the fleet's store itself knows: frozen seconds by bucket, and circuits and retry tokens by provider."""

    frozen_seconds: Mapping[str, float]
    circuits: Mapping[str, Circuit]
    retry_tokens: Mapping[str, float]


@dataclass(frozen=True)
class Dependency:
    """One provider. What changes by the second (circuit, in flight, rate) is that of the processes heard of in the last
    ten seconds; counts are of all that were, since each began. Without a fresh process it is as it was last seen.

    `common_circuit` is the fleet's own, None where its processes share none.
    """

    name: str
    circuit: Circuit
    common_circuit: Circuit | None
    heard_seconds_ago: float
    is_fresh: bool
    processes: tuple[Process, ...]
    scopes: tuple[Scope, ...]
    rate: float
    in_flight: int
    limit: float
    outcomes: Mapping[Outcome, int]
    attempts: Mapping[Outcome, int]
    rejections: Mapping[Outcome, int]
    recent: Durations | None
    retries: int
    budget_spent: int
    retry_tokens: float
    throttled: int
    trips: int
    trips_seconds_ago: tuple[float, ...]
    slots: tuple[Slot | None, ...]
    """The last five minutes, the newest first; None where nobody had begun yet."""

    @property
    def rate_limit(self) -> float | None:
        """What the provider allows in a second, over all scopes; None unless all are known."""
        rates = [scope.rate for scope in self.scopes]
        return sum(rate for rate in rates if rate is not None) if rates and None not in rates else None

    @property
    def saturation(self) -> float:
        """How full the bulkheads are, from 0 to 1."""
        return min(1.0, self.in_flight / self.limit) if self.limit else 0.0

    @property
    def frozen(self) -> tuple[Scope, ...]:
        """The scopes that are left alone now."""
        return tuple(scope for scope in self.scopes if scope.frozen_seconds > 0)

    def seconds(self, share: float) -> float | None:
        """Below which attempts of the last five minutes stayed; None without any, infinity beyond the last bound."""
        return self.recent.quantile(share) if self.recent and self.recent.calls else None


def dependencies(posted: Iterable[Posted], common: Common | None = None) -> list[Dependency]:
    """Every provider that somebody sees, those in trouble first.

    What the fleet's store knows of their buckets counts more than what processes last said of it, and what it knows of
    their circuits counts as much.
    """
    by_name = groupby(sorted(posted, key=_name), key=_name)
    found = [_together(name, list(seen)) for name, seen in by_name]
    return sorted((_with(one, common) if common else one for one in found), key=_order)


def buckets(posted: Iterable[Posted]) -> set[str]:
    """The names of all buckets that the fleet spends together."""
    return {quota.shared for one in posted for quota in one.sighting.snapshot.quotas if quota.shared}


def _name(posted: Posted) -> str:
    return posted.sighting.snapshot.name


def _with(one: Dependency, common: Common) -> Dependency:
    circuit = common.circuits.get(one.name)
    return replace(
        one,
        circuit=_worst(one.circuit, circuit) if circuit and one.is_fresh else one.circuit,
        common_circuit=circuit,
        scopes=tuple(
            replace(scope, frozen_seconds=common.frozen_seconds.get(scope.shared, 0.0)) if scope.shared else scope
            for scope in one.scopes
        ),
        retry_tokens=one.retry_tokens + common.retry_tokens.get(one.name, 0.0),
    )


def _worst(*circuits: Circuit) -> Circuit:
    return min(circuits, key=_WORST_FIRST.index)


def _order(one: Dependency) -> tuple[int, bool, str]:
    return _WORST_FIRST.index(one.circuit), not one.frozen, one.name


def _together(name: str, posted: list[Posted]) -> Dependency:
    posted.sort(key=lambda one: (not one.is_fresh, one.worker))
    # if nobody is fresh, those that were heard of last have the word
    newest = min(one.age_seconds for one in posted)
    current = [one for one in posted if one.is_fresh] or [one for one in posted if one.age_seconds <= newest + 5]
    all_seen = [one.sighting.snapshot for one in posted]
    now = [one.sighting.snapshot for one in current]
    trips = sorted(one.age_seconds + age for one in posted for age in one.sighting.snapshot.last_trips)
    return Dependency(
        name=name,
        circuit=_worst(*(seen.circuit for seen in now)),
        common_circuit=None,
        heard_seconds_ago=newest,
        is_fresh=current[0].is_fresh,
        processes=tuple(_process(one) for one in posted),
        scopes=_scopes(current),
        rate=sum(_rate(one) for one in current if one.is_fresh),
        in_flight=sum(seen.in_flight for seen in now if current[0].is_fresh),
        limit=sum(seen.limit for seen in now),
        outcomes=_counted(seen.calls for seen in all_seen),
        attempts=_counted(seen.attempts for seen in all_seen),
        rejections=_added(seen.rejections for seen in all_seen),
        recent=_recent(current),
        retries=sum(seen.retries for seen in all_seen),
        budget_spent=sum(seen.budget_spent for seen in all_seen),
        retry_tokens=sum(seen.retry_tokens for seen in now),
        throttled=sum(seen.throttled for seen in all_seen),
        trips=sum(seen.trips for seen in all_seen),
        trips_seconds_ago=tuple(trips[:_MOST_TRIPS]),
        slots=_timeline(posted),
    )


def _process(one: Posted) -> Process:
    seen = one.sighting.snapshot
    return Process(
        worker=one.worker,
        heard_seconds_ago=one.age_seconds,
        is_fresh=one.is_fresh,
        circuit=seen.circuit,
        in_flight=seen.in_flight,
        limit=seen.limit,
        rate=_rate(one) if one.is_fresh else 0.0,
        trips=seen.trips,
        retry_tokens=seen.retry_tokens,
        retry_reserve=seen.retry_reserve,
    )


def _rate(one: Posted) -> float:
    """Attempts a second, over the newest slots."""
    slots = one.sighting.slots[: _RATE_SLOTS + 1]
    if not slots:
        return 0.0
    seconds = one.sighting.slot_age_seconds + (len(slots) - 1) * SLOT_SECONDS
    return sum(slot.attempts for slot in slots) / max(seconds, 1.0)


def _scopes(posted: Iterable[Posted]) -> tuple[Scope, ...]:
    found: dict[tuple[str, str], Scope] = {}
    for one in posted:
        for quota in one.sighting.snapshot.quotas:
            cold = max(0.0, quota.frozen_seconds - one.age_seconds)
            new = Scope(quota.scope, quota.shared, quota.keys, quota.rate, quota.burst, quota.remaining, cold)
            known = found.get((new.name, new.shared))
            found[new.name, new.shared] = new if known is None else _one_scope(known, new)
    return tuple(found.values())


def _one_scope(one: Scope, other: Scope) -> Scope:
    """A shared bucket is one, of which the least optimistic view counts; those of single processes add up."""
    together = replace(
        one,
        keys=tuple(dict.fromkeys([*one.keys, *other.keys])),
        frozen_seconds=max(one.frozen_seconds, other.frozen_seconds),
    )
    if one.shared:
        known = [left for left in (one.remaining, other.remaining) if left is not None]
        return replace(together, remaining=min(known, default=None))
    return replace(
        together,
        rate=_sum(one.rate, other.rate),
        burst=_sum(one.burst, other.burst),
        remaining=_sum(one.remaining, other.remaining),
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _counted(parts: Iterable[Mapping[Outcome, Durations]]) -> dict[Outcome, int]:
    return _added({outcome: durations.calls for outcome, durations in part.items()} for part in parts)


def _added(parts: Iterable[Mapping[Outcome, int]]) -> dict[Outcome, int]:
    """In the order in which the outcomes are declared, so that a page does not jump."""
    total: dict[Outcome, int] = {}
    for part in parts:
        for outcome, count in part.items():
            total[outcome] = total.get(outcome, 0) + count
    return {outcome: total[outcome] for outcome in Outcome if total.get(outcome)}


def _recent(posted: Iterable[Posted]) -> Durations | None:
    """Of processes with one version's buckets; another version's cannot be added to them."""
    parts = [one.sighting.recent for one in posted]
    alike = [part for part in parts if part.bounds == parts[0].bounds]
    return sum(alike[1:], start=alike[0]) if alike else None


def _timeline(posted: Iterable[Posted]) -> tuple[Slot | None, ...]:
    """Slots of all processes side by side: each begins when its process was last heard of, to within a slot."""
    slots: list[Slot | None] = [None] * SLOTS
    for one in posted:
        late = round(one.age_seconds / SLOT_SECONDS)
        for place, slot in enumerate(one.sighting.slots, start=late):
            if place < SLOTS:
                known = slots[place]
                slots[place] = slot if known is None else known + slot
    return tuple(slots)
