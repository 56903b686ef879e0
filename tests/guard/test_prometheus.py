"""What guards count can be scraped: a real parse of the real text."""

from __future__ import annotations

import pytest

pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from guard.support_clock import ManualClock
from prodsprints.guard import CircuitBreaker, CircuitOpenError, Guard, Key, KeyPool
from prodsprints.guard.prometheus import GuardCollector, exposition
from prodsprints.guard.telemetry import BOUNDS_SECONDS


def tripped(clock: ManualClock) -> Guard:
    guard = Guard(
        'paid "api"\\', clock=clock, breaker=CircuitBreaker(failure_threshold=1), keys=KeyPool([Key("a", "topsecret1")])
    )

    @guard
    def call(seconds: float) -> None:
        clock.seconds += seconds
        if seconds > 1:
            raise ConnectionError

    call(0.2)
    call(0.03)
    with pytest.raises(ConnectionError):
        call(70)
    with pytest.raises(CircuitOpenError):
        call(0)
    return guard


def samples(text: str, family: str, **labels: str) -> dict[tuple[str, str], float]:
    """Of one family by (sample name, le), those with all these labels."""
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for found in parse(text)
        if found.name == family
        for sample in found.samples
        if labels.items() <= sample.labels.items()
    }


def test_a_scrape_has_real_histograms_whose_buckets_add_up(clock: ManualClock) -> None:
    guard = tripped(clock)
    body, media_type = exposition(lambda: [("w-1", guard.snapshot()), ("w-2", guard.snapshot())], "text/plain")
    assert media_type.startswith("text/plain")
    text = body.decode()
    family = "guard_call_duration_seconds"
    found = samples(text, family, worker="w-1", name=guard.name, outcome="succeeded")
    buckets = [value for (name, _), value in found.items() if name == f"{family}_bucket"]
    assert len(buckets) == len(BOUNDS_SECONDS) + 1
    assert buckets == sorted(buckets)
    assert found[f"{family}_bucket", "0.05"] == 1
    assert found[f"{family}_bucket", "0.25"] == found[f"{family}_bucket", "+Inf"] == found[f"{family}_count", ""] == 2
    assert found[f"{family}_sum", ""] == pytest.approx(0.23)
    failed = samples(text, "guard_attempt_duration_seconds", worker="w-2", outcome="failed")
    assert failed["guard_attempt_duration_seconds_bucket", "60.0"] == 0
    assert failed["guard_attempt_duration_seconds_bucket", "+Inf"] == 1
    assert samples(text, "guard_circuit_state", worker="w-1", state="open") == {("guard_circuit_state", ""): 1}
    assert samples(text, "guard_events", worker="w-1", event="rejected", layer="circuit-open") == {
        ("guard_events_total", ""): 1
    }
    assert "topsecret1" not in text


def test_a_scrape_can_be_openmetrics(clock: ManualClock) -> None:
    guard = tripped(clock)
    body, media_type = exposition(lambda: [("w-1", guard.snapshot())], "application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    families = {family.name: family.type for family in parse_openmetrics(body.decode())}
    assert families["guard_call_duration_seconds"] == "histogram"
    assert families["guard_events"] == "counter"
    assert families["guard_circuit_state"] == "gauge"


def test_a_library_user_registers_the_collector_and_sees_this_process(clock: ManualClock) -> None:
    guard = Guard("of this process", clock=clock)
    guard(lambda: None)()
    registry = CollectorRegistry()
    registry.register(GuardCollector())
    found = samples(generate_latest(registry).decode(), "guard_call_duration_seconds", name="of this process")
    assert found["guard_call_duration_seconds_count", ""] >= 1
