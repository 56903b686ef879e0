"""What guards tell, as metrics: each with its name, unit and attributes; one table for every exporter.

An attribute's values come from our own enumerations, a guard's name or a scope's: bounded, and never a secret.
Documented in docs/reference/telemetry.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from prodsprints.guard.breaker import Circuit
from prodsprints.guard.telemetry import Durations, Snapshot

Attributes = dict[str, str]


@dataclass(frozen=True)
class Measure:
    """One metric. Its attributes all begin with `guard.`; `guard.name` is always among them."""

    name: str
    kind: Literal["histogram", "counter", "gauge"]
    unit: str
    description: str
    attributes: tuple[str, ...]


CALL_DURATION = Measure(
    "guard.call.duration",
    "histogram",
    "s",
    "How long calls took with all their attempts and waits, by how they ended for their caller.",
    ("guard.name", "guard.outcome"),
)
ATTEMPT_DURATION = Measure(
    "guard.attempt.duration",
    "histogram",
    "s",
    "How long single attempts at the provider took, by how they ended.",
    ("guard.name", "guard.outcome"),
)
EVENTS = Measure(
    "guard.events",
    "counter",
    "{event}",
    "What a guard did: retried, throttled, rejected and by which layer, budget-spent, circuit-opened.",
    ("guard.name", "guard.event", "guard.layer"),
)
CIRCUIT_STATE = Measure(
    "guard.circuit.state",
    "gauge",
    "1",
    "1 for the state that the circuit is in, 0 for the others.",
    ("guard.name", "guard.state"),
)
IN_FLIGHT = Measure("guard.calls.in_flight", "gauge", "{call}", "Calls that are under way now.", ("guard.name",))
LIMIT = Measure("guard.calls.limit", "gauge", "{call}", "Calls that may be under way at a time.", ("guard.name",))
RETRY_TOKENS = Measure(
    "guard.retry.tokens", "gauge", "{retry}", "Retries that the budget would pay for now.", ("guard.name",)
)
FROZEN_KEYS = Measure(
    "guard.keys.frozen", "gauge", "{key}", "Keys that wait until the provider takes them again.", ("guard.name",)
)

HISTOGRAMS = (CALL_DURATION, ATTEMPT_DURATION)
NUMBERS = (EVENTS, CIRCUIT_STATE, IN_FLIGHT, LIMIT, RETRY_TOKENS, FROZEN_KEYS)

_LAYERS = ("circuit-open", "bulkhead-full", "quota-spent")


def numbers(measure: Measure, seen: Snapshot) -> Iterator[tuple[Attributes, float]]:
    """The values of a counter or gauge. Events that never happened are there as 0, so that their rate is known."""
    name = {"guard.name": seen.name}
    if measure is EVENTS:
        counted = {
            "retried": seen.retries,
            "throttled": seen.throttled,
            "budget-spent": seen.budget_spent,
            "circuit-opened": seen.trips,
        }
        for event, count in counted.items():
            yield name | {"guard.event": event, "guard.layer": ""}, count
        rejections = {outcome.value: count for outcome, count in seen.rejections.items()}
        for layer in _LAYERS:
            yield name | {"guard.event": "rejected", "guard.layer": layer}, rejections.get(layer, 0)
    elif measure is CIRCUIT_STATE:
        for state in Circuit:
            yield name | {"guard.state": state.value}, float(state is seen.circuit)
    else:
        value = {
            IN_FLIGHT: seen.in_flight,
            LIMIT: seen.limit,
            RETRY_TOKENS: seen.retry_tokens,
            FROZEN_KEYS: len(seen.frozen_keys),
        }[measure]
        if isfinite(value):
            yield name, value


def histograms(measure: Measure, seen: Snapshot) -> Iterator[tuple[Attributes, Durations]]:
    """The durations that `measure` is of, by outcome."""
    for outcome, durations in (seen.calls if measure is CALL_DURATION else seen.attempts).items():
        yield {"guard.name": seen.name, "guard.outcome": outcome.value}, durations
