"""What guards count reaches a real OTLP/HTTP collector, and nothing is sent where none is named."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the telemetry extra is not installed")

from guard.support_clock import ManualClock
from guard.support_collector import Collector, attributes, collector
from prodsprints.guard import (
    CircuitBreaker,
    CircuitOpenError,
    Guard,
    GuardInputError,
    Key,
    KeyPool,
    RateLimitError,
    Retry,
    ServiceUnavailable,
    otlp,
)


@pytest.fixture
def collecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in ("SDK_DISABLED", "METRICS_EXPORTER", "TRACES_EXPORTER", "EXPORTER_OTLP_PROTOCOL", "SERVICE_NAME"):
        monkeypatch.delenv(f"OTEL_{name}", raising=False)
    with collector() as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.address)
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "3600000")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        yield one


def busy(clock: ManualClock, name: str) -> Guard:
    """A guard that was answered twice, retried once, failed, tripped and rejected."""
    guard = Guard(
        name,
        clock=clock,
        retry=Retry(wait=lambda _: 0.5),
        breaker=CircuitBreaker(failure_threshold=2),
        keys=KeyPool([Key("first", secret="hunter2-hunter2"), Key("second", secret="swordfish-swordfish")]),
    )
    ends: Iterator[Exception | None] = iter(
        [None, ServiceUnavailable("hunter2-hunter2"), None, ValueError(), ValueError()]
    )

    @guard
    def call(_: str) -> None:
        clock.seconds += 0.2
        end = next(ends)
        if end is not None:
            raise end

    for _ in range(2):
        call("sesame-open-sesame")
    for _ in range(2):
        with pytest.raises(ValueError):
            call("sesame-open-sesame")
    with pytest.raises(CircuitOpenError):
        call("sesame-open-sesame")
    return guard


def test_a_real_collector_gets_durations_events_and_states(clock: ManualClock, collecting: Collector) -> None:
    name = f"p-{uuid4().hex[:8]}"
    guard = busy(clock, name)
    export = otlp.start(instance="worker-1")
    assert export is not None
    export.flush()
    export.stop()

    def of(metric: str, **wanted: str) -> list[object]:
        said = {f"guard.{key}": value for key, value in {"name": name, **wanted}.items()}
        return [point for had, point in collecting.points(metric) if had == said]

    (succeeded,) = of("guard.call.duration", outcome="succeeded")
    assert (succeeded.count, succeeded.sum) == (2, pytest.approx(0.2 + 0.2 + 0.5 + 0.2))
    assert sum(succeeded.bucket_counts) == 2
    assert len(succeeded.bucket_counts) == len(succeeded.explicit_bounds) + 1
    assert not succeeded.HasField("min")
    assert 0 < succeeded.start_time_unix_nano < succeeded.time_unix_nano
    assert [point.count for point in of("guard.attempt.duration", outcome="succeeded")] == [2]
    assert [point.count for point in of("guard.attempt.duration", outcome="failed")] == [3]
    assert [point.count for point in of("guard.call.duration", outcome="circuit-open")] == [1]
    assert [point.as_int for point in of("guard.events", event="retried")] == [1]
    assert [point.as_int for point in of("guard.events", event="circuit-opened")] == [1]
    assert [point.as_int for point in of("guard.events", event="rejected", layer="circuit-open")] == [1]
    assert [point.as_int for point in of("guard.events", event="rejected", layer="quota-spent")] == [0]
    states = {state: of("guard.circuit.state", state=state)[0].as_double for state in ("closed", "open", "half-open")}
    assert states == {"closed": 0, "open": 1, "half-open": 0}
    assert collecting.metric("guard.call.duration").unit == "s"
    assert collecting.metric("guard.events").sum.is_monotonic
    (resource,) = collecting.metrics[-1].resource_metrics
    assert attributes(resource.resource)["service.name"] == "prodsprints"
    assert attributes(resource.resource)["service.instance.id"] == "worker-1"
    assert guard.snapshot().trips == 1


def test_spans_tell_of_what_was_retried_or_rejected_and_of_nothing_else(
    clock: ManualClock, collecting: Collector
) -> None:
    export = otlp.start()
    assert export is not None
    name = f"p-{uuid4().hex[:8]}"
    busy(clock, name)
    export.flush()
    export.stop()
    retried, rejected = (span for span in collecting.spans() if span.name == f"guard {name}")
    assert attributes(retried) == {"guard.name": name, "guard.outcome": "succeeded", "guard.attempts": "2"}
    assert [event.name for event in retried.events] == ["retried"]
    assert attributes(retried.events[0])["error.type"] == "ServiceUnavailable"
    assert retried.end_time_unix_nano - retried.start_time_unix_nano == pytest.approx(0.9e9)
    assert attributes(rejected)["guard.rejected.by"] == "circuit-open"
    assert rejected.status.code == 2


def test_no_secret_and_no_argument_reaches_a_collector(clock: ManualClock, collecting: Collector) -> None:
    export = otlp.start()
    assert export is not None
    busy(clock, "p")
    export.flush()
    export.stop()
    assert b"guard.name" in collecting.bytes
    for secret in (b"hunter2", b"swordfish", b"sesame"):
        assert secret not in collecting.bytes


def test_what_the_environment_says_of_the_service_is_kept(
    clock: ManualClock, collecting: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=mine,deployment.environment.name=test")
    busy(clock, "p")
    export = otlp.start(instance="worker-1")
    assert export is not None
    export.flush()
    export.stop()
    said = attributes(collecting.metrics[-1].resource_metrics[0].resource)
    assert said["service.name"] == "shop"
    assert said["service.instance.id"] == "mine"
    assert said["deployment.environment.name"] == "test"


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_it_is_off_unless_the_environment_asks_for_it(
    collecting: Collector, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert otlp.start() is None


def test_a_protocol_that_is_not_spoken_is_refused_in_words(
    collecting: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(GuardInputError, match=r"'grpc'.*4318"):
        otlp.start()


def test_an_outage_does_not_become_a_flood_of_spans(collecting: Collector) -> None:
    export = otlp.start()
    assert export is not None
    guard = Guard("flooded", breaker=CircuitBreaker(failure_threshold=1, recovery_timeout=60))

    @guard
    def call() -> None:
        raise RuntimeError

    for _ in range(1000):
        with pytest.raises((RuntimeError, CircuitOpenError)):
            call()
    export.flush()
    export.stop()
    assert 1 <= len(collecting.spans()) < 50
    assert guard.snapshot().rejections == {"circuit-open": 999}


@pytest.mark.anyio
async def test_the_sampled_share_of_good_calls_gets_a_span(collecting: Collector) -> None:
    export = otlp.start()
    assert export is not None
    draws = iter([0.001, 0.5, 0.5, 0.009])
    guard = Guard("sampled", sampled=0.01, random=lambda: next(draws))

    @guard
    async def call() -> int:
        return 1

    assert [await call() for _ in range(4)] == [1, 1, 1, 1]
    threads = Guard("sampled", sampled=1.0)(lambda: 2)
    assert threads() == 2
    export.flush()
    export.stop()
    assert [attributes(span)["guard.attempts"] for span in collecting.spans()] == ["1", "1", "1"]
    assert guard.snapshot().count("succeeded") == 4


def test_throttled_calls_are_told_as_such(clock: ManualClock, collecting: Collector) -> None:
    guard = Guard("throttling", clock=clock, retry=Retry.never())

    @guard
    def call() -> None:
        raise RateLimitError(3)

    with pytest.raises(RateLimitError):
        call()
    seen = guard.snapshot()
    assert seen.throttled == 1
    assert {outcome: one.calls for outcome, one in seen.attempts.items()} == {"rate-limited": 1}


def test_without_its_collector_calls_go_on(
    clock: ManualClock, collecting: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
    export = otlp.start()
    assert export is not None
    guard = Guard(f"without-{uuid4().hex[:8]}", clock=clock)
    assert [guard(lambda: "answered")() for _ in range(100)] == ["answered"] * 100
    began = time.monotonic()
    export.stop(seconds=0.5)
    assert time.monotonic() - began < 5
    assert guard(lambda: "answered")() == "answered"
