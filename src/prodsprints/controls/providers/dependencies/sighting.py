"""What one process saw of one provider, as a row of the database: a guard's snapshot and its last five minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from prodsprints.guard import Circuit, Durations, Outcome, Quota, Snapshot

SLOT_SECONDS = 5.0
SLOTS = 60
"""Five minutes, of which each slot is one mark on the page's timeline."""
SCHEMA = 1

_MOST_QUOTAS = 20
_MOST_KEYS = 20
_LONGEST_KEY = 80
_LONGEST_SCOPE = 200
_CIRCUITS = {Circuit.CLOSED: 0, Circuit.HALF_OPEN: 1, Circuit.OPEN: 2}
_NAMES = {number: circuit for circuit, number in _CIRCUITS.items()}


@dataclass(frozen=True)
class Slot:
    """Some seconds of the recent past: attempts at the provider, those of them that failed, throttled answers,
    calls that were rejected, and the worst state of the circuit meanwhile."""

    attempts: int = 0
    failed: int = 0
    throttled: int = 0
    rejected: int = 0
    circuit: Circuit = Circuit.CLOSED

    def __add__(self, other: Slot) -> Slot:
        return Slot(
            self.attempts + other.attempts,
            self.failed + other.failed,
            self.throttled + other.throttled,
            self.rejected + other.rejected,
            max(self.circuit, other.circuit, key=_CIRCUITS.__getitem__),
        )


@dataclass(frozen=True)
class Sighting:
    """`slots` are the newest first; the newest has lasted `slot_age_seconds` so far. `recent` are the durations of the
    attempts that ended in the last five minutes."""

    snapshot: Snapshot
    slots: tuple[Slot, ...]
    slot_age_seconds: float
    recent: Durations


def as_json(seen: Sighting) -> dict[str, Any]:
    """A few kB. Key names are in it, secrets never were in a snapshot."""
    snapshot = seen.snapshot
    return {
        "schema": SCHEMA,
        "circuit": snapshot.circuit.value,
        "trips": snapshot.trips,
        "last_trips": [round(age, 3) for age in snapshot.last_trips],
        "in_flight": snapshot.in_flight,
        "limit": _finite(snapshot.limit),
        "retry_tokens": _finite(snapshot.retry_tokens),
        "retry_reserve": _finite(snapshot.retry_reserve),
        "quotas": [
            {
                "scope": quota.scope[:_LONGEST_SCOPE],
                "shared": quota.shared,
                "keys": [key[:_LONGEST_KEY] for key in quota.keys[:_MOST_KEYS]],
                "rate": quota.rate,
                "burst": quota.burst,
                "remaining": quota.remaining,
                "frozen_seconds": round(quota.frozen_seconds, 3),
            }
            for quota in snapshot.quotas[:_MOST_QUOTAS]
        ],
        "bounds": list(seen.recent.bounds),
        "calls": {outcome.value: _durations(one) for outcome, one in snapshot.calls.items()},
        "attempts": {outcome.value: _durations(one) for outcome, one in snapshot.attempts.items()},
        "rejections": {outcome.value: count for outcome, count in snapshot.rejections.items()},
        "retries": snapshot.retries,
        "throttled": snapshot.throttled,
        "budget_spent": snapshot.budget_spent,
        "slot_age_seconds": round(seen.slot_age_seconds, 3),
        "slots": [
            [slot.attempts, slot.failed, slot.throttled, slot.rejected, _CIRCUITS[slot.circuit]] for slot in seen.slots
        ],
        "recent": _durations(seen.recent),
    }


def from_json(name: str, body: Mapping[str, Any]) -> Sighting:
    """The same again. Raises ValueError for what another version wrote, or nobody."""
    try:
        return _read(name, body)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"a sighting of {name!r} cannot be read: {error!r}") from None


def _read(name: str, body: Mapping[str, Any]) -> Sighting:
    if body["schema"] != SCHEMA:
        raise ValueError(f"a sighting of {name!r} has the schema {body['schema']!r}")
    bounds = tuple(float(bound) for bound in body["bounds"])

    def durations(said: Mapping[str, Any]) -> Durations:
        counts = tuple(int(count) for count in said["counts"])
        if len(counts) != len(bounds) + 1:
            raise ValueError(f"a histogram of {name!r} has {len(counts)} counts for {len(bounds)} bounds")
        return Durations(bounds, counts, float(said["seconds"]))

    def by_outcome(said: Mapping[str, Any]) -> dict[Outcome, Durations]:
        return {Outcome(outcome): durations(one) for outcome, one in said.items()}

    snapshot = Snapshot(
        name=name,
        circuit=Circuit(body["circuit"]),
        trips=int(body["trips"]),
        last_trips=tuple(float(age) for age in body["last_trips"]),
        in_flight=int(body["in_flight"]),
        limit=_infinite(body["limit"]),
        retry_tokens=_infinite(body["retry_tokens"]),
        retry_reserve=_infinite(body["retry_reserve"]),
        quotas=tuple(Quota(**{**quota, "keys": tuple(quota["keys"])}) for quota in body["quotas"]),
        calls=by_outcome(body["calls"]),
        attempts=by_outcome(body["attempts"]),
        rejections={Outcome(outcome): int(count) for outcome, count in body["rejections"].items()},
        retries=int(body["retries"]),
        throttled=int(body["throttled"]),
        budget_spent=int(body["budget_spent"]),
    )
    slots = tuple(
        Slot(int(attempts), int(failed), int(throttled), int(rejected), _NAMES[circuit])
        for attempts, failed, throttled, rejected, circuit in body["slots"][:SLOTS]
    )
    return Sighting(snapshot, slots, float(body["slot_age_seconds"]), durations(body["recent"]))


def _durations(durations: Durations) -> dict[str, Any]:
    return {"counts": list(durations.counts), "seconds": round(durations.seconds, 6)}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _infinite(value: float | None) -> float:
    return float("inf") if value is None else float(value)
