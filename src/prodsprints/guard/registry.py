"""Which guards there are in this process, for whoever exports what they count."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet, finalize

from prodsprints.guard.breaker import Circuit, CircuitBreaker
from prodsprints.guard.ownership import STATE
from prodsprints.guard.telemetry import Durations, Outcome, Quota, Snapshot, Telemetry

if TYPE_CHECKING:
    from prodsprints.guard.layers import Layers

MOST_NAMES = 100
OTHERS = "(others)"
"""Where guards are counted together whose names came after the first MOST_NAMES: series must not grow without end."""

Count = TypeVar("Count", Durations, int)

BEGAN_NS = time.time_ns()
"""Since when this process counts."""

_WORST_FIRST = (Circuit.OPEN, Circuit.HALF_OPEN, Circuit.CLOSED)
_MOST_TRIPS = 5

_live: WeakSet[Layers] = WeakSet()
_names: set[str] = set()
_gone: dict[str, Snapshot] = {}


def snapshots() -> list[Snapshot]:
    """What each name's guards have seen since this process began, by name: those that are gone by now included."""
    with STATE:
        live = list(_live)  # first: whatever goes from now on, goes after this
        by_name = {name: [snapshot] for name, snapshot in dict(_gone).items()}
        for layers in live:
            by_name.setdefault(_shown(layers.name), []).append(layers.snapshot())
    return [_merged(name, found) for name, found in sorted(by_name.items())]


def add(layers: Layers) -> None:
    """Have `layers` among the snapshots, for as long as somebody uses it, and its counts from then on."""
    with STATE:
        if len(_names) < MOST_NAMES:
            _names.add(layers.name)
        _live.add(layers)
    # Without its counts here, a counter would fall when a guard goes, which reads like a restart of the process.
    finalize(layers, _keep, layers.name, layers.telemetry, layers.breaker).atexit = False


def _keep(name: str, telemetry: Telemetry, breaker: CircuitBreaker) -> None:
    with STATE:
        shown = _shown(name)
        counted = _counted(shown, telemetry, breaker)
        _gone[shown] = _merged(shown, [_gone[shown], counted]) if shown in _gone else counted


def _shown(name: str) -> str:
    return name if name in _names else OTHERS


def _counted(name: str, telemetry: Telemetry, breaker: CircuitBreaker) -> Snapshot:
    """What is left of a guard that is gone: what it counted, and nothing that stands."""
    return Snapshot(
        name=name,
        circuit=Circuit.CLOSED,
        trips=breaker.trips,
        last_trips=(),
        in_flight=0,
        limit=0,
        retry_tokens=0,
        retry_reserve=0,
        quotas=(),
        calls=telemetry.calls(),
        attempts=telemetry.attempts(),
        rejections=telemetry.rejections(),
        retries=telemetry.retries,
        throttled=telemetry.throttled,
        budget_spent=telemetry.budget_spent,
    )


def _merged(name: str, found: list[Snapshot]) -> Snapshot:
    """Guards of one name as one: counts add up, and the worst circuit is shown."""
    if len(found) == 1 and found[0].name == name:
        return found[0]
    return Snapshot(
        name=name,
        circuit=min((one.circuit for one in found), key=_WORST_FIRST.index),
        trips=sum(one.trips for one in found),
        last_trips=tuple(sorted((age for one in found for age in one.last_trips), reverse=True)[-_MOST_TRIPS:]),
        in_flight=sum(one.in_flight for one in found),
        limit=sum(one.limit for one in found),
        retry_tokens=sum(one.retry_tokens for one in found),
        retry_reserve=sum(one.retry_reserve for one in found),
        quotas=tuple(_by_scope(quota for one in found for quota in one.quotas).values()),
        calls=_added(one.calls for one in found),
        attempts=_added(one.attempts for one in found),
        rejections=_added(one.rejections for one in found),
        retries=sum(one.retries for one in found),
        throttled=sum(one.throttled for one in found),
        budget_spent=sum(one.budget_spent for one in found),
    )


def _by_scope(quotas: Iterable[Quota]) -> dict[str, Quota]:
    """One bucket for each scope: the emptier of two, frozen as long as any."""
    found: dict[str, Quota] = {}
    for quota in quotas:
        known = found.get(quota.scope)
        if known is None or (quota.frozen_seconds, -_left(quota)) > (known.frozen_seconds, -_left(known)):
            found[quota.scope] = quota
    return found


def _left(quota: Quota) -> float:
    return float("inf") if quota.remaining is None else quota.remaining


def _added(parts: Iterable[Mapping[Outcome, Count]]) -> dict[Outcome, Count]:
    total: dict[Outcome, Count] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = total[key] + value if key in total else value
    return total
