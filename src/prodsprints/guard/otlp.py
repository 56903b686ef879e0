"""What guards tell, for an OpenTelemetry collector: metrics and spans over OTLP/HTTP, configured as OpenTelemetry is.

    from prodsprints.guard import otlp

    export = otlp.start()    # None, unless OTEL_EXPORTER_OTLP_ENDPOINT or one of its kin is set
    ...
    if export: export.stop()

Needs prodsprints[telemetry] where it is on. Counters and gauges are observable instruments of OpenTelemetry's SDK. It
has no observable histogram, and recording each call in its synchronous one costs ten times what the guard does: the
exporter below adds the histograms that the guards keep, read at the same moment (docs/decisions/0019).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from prodsprints.guard import measures, registry, spans
from prodsprints.guard.errors import GuardInputError
from prodsprints.guard.measures import Attributes, Measure
from prodsprints.guard.telemetry import Durations

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import Metric, MetricExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

_SCOPE = "prodsprints.guard"
_PROTOCOL = "http/protobuf"
# Optional on the wire, and nobody keeps them.
_UNKNOWN: Any = None


@dataclass(frozen=True)
class Export:
    """A running export."""

    meters: MeterProvider | None
    tracers: TracerProvider | None

    def flush(self) -> None:
        """Send what there is now."""
        if self.meters:
            self.meters.force_flush()
        if self.tracers:
            self.tracers.force_flush()

    def stop(self, *, seconds: float = 3.0) -> None:
        """Send what there is, and end; a collector that does not answer is waited for that long."""
        if self.tracers:
            spans.use(None)
        ending = [
            threading.Thread(target=provider.shutdown, name="otlp-end", daemon=True)
            for provider in (self.tracers, self.meters)
            if provider
        ]
        deadline = time.monotonic() + seconds
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join(max(0.0, deadline - time.monotonic()))


def start(*, service: str = "prodsprints", instance: str = "") -> Export | None:
    """Begin to export this process' guards; None where the environment names no collector.

    `service` and `instance` say who tells, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES do. Raises
    GuardInputError where a collector is named that cannot be spoken to.
    """
    wants_metrics, wants_traces = _wanted("METRICS"), _wanted("TRACES")
    if not (wants_metrics or wants_traces):
        return None
    try:
        resource = _resource(service, instance)
        return Export(_meters(resource) if wants_metrics else None, _tracers(resource) if wants_traces else None)
    except ModuleNotFoundError as error:
        raise GuardInputError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but the package {error.name} is not installed.",
            next_step="Install it: pip install 'prodsprints[telemetry]'.",
        ) from None
    except ValueError as error:
        raise GuardInputError(
            "A variable of OpenTelemetry has a value that it refuses.",
            why=f"{' '.join(str(error).split())[:200]}.",
            next_step="Correct the variable whose name begins with OTEL_, or leave it out.",
        ) from None


def _wanted(signal: str) -> bool:
    """Whether OpenTelemetry's own variables ask for `signal` over OTLP."""

    def said(name: str, default: str) -> str:
        return (os.environ.get(name) or default).strip().lower()

    if said("OTEL_SDK_DISABLED", "false") == "true" or said(f"OTEL_{signal}_EXPORTER", "otlp") != "otlp":
        return False
    own, common = f"OTEL_EXPORTER_OTLP_{signal}_", "OTEL_EXPORTER_OTLP_"
    if not (said(f"{own}ENDPOINT", "") or said(f"{common}ENDPOINT", "")):
        return False
    protocol = said(f"{own}PROTOCOL", said(f"{common}PROTOCOL", _PROTOCOL))
    if protocol != _PROTOCOL:
        raise GuardInputError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol[:40]!r}, which is not spoken here.",
            next_step=f"Leave it out or set it to {_PROTOCOL}, and name the collector's port for HTTP, usually 4318.",
        )
    return True


def _resource(service: str, instance: str) -> Resource:
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    said = OTELResourceDetector().detect().attributes
    own = {"service.name": service, "service.instance.id": instance}
    return Resource.create({name: value for name, value in own.items() if value and name not in said})


def _meters(resource: Resource) -> MeterProvider:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(_with_histograms(OTLPMetricExporter()))
    provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    _observe(provider.get_meter(_SCOPE))
    return provider


def _tracers(resource: Resource) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    spans.use(provider)
    return provider


def _observe(meter: Meter) -> None:
    """Make observable instruments for all but the histograms."""
    for measure in measures.NUMBERS:
        make = meter.create_observable_counter if measure.kind == "counter" else meter.create_observable_gauge
        make(measure.name, [partial(_observed, measure)], measure.unit, measure.description)


def _observed(measure: Measure, _: CallbackOptions) -> Iterable[Observation]:
    from opentelemetry.metrics import Observation

    for snapshot in registry.snapshots():
        for attributes, value in measures.numbers(measure, snapshot):
            yield Observation(value, {name: text for name, text in attributes.items() if text})


def _with_histograms(exporter: MetricExporter) -> MetricExporter:
    """`exporter`, which adds the histograms to what its reader collected from our instruments."""
    from opentelemetry.sdk.metrics.export import (
        MetricExporter,
        MetricExportResult,
        MetricsData,
        ResourceMetrics,
        ScopeMetrics,
    )

    def completed(scope: ScopeMetrics) -> ScopeMetrics:
        # in the same scope: the encoder keeps only the last of two that are equal
        return ScopeMetrics(scope.scope, [*_histograms(), *scope.metrics], scope.schema_url)

    class WithHistograms(MetricExporter):
        def export(
            self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
        ) -> MetricExportResult:
            parts = [
                ResourceMetrics(part.resource, [completed(scope) for scope in part.scope_metrics], part.schema_url)
                for part in metrics_data.resource_metrics
            ]
            return exporter.export(MetricsData(parts), timeout_millis, **kwargs)

        def force_flush(self, timeout_millis: float = 10_000) -> bool:
            return exporter.force_flush(timeout_millis)

        def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
            exporter.shutdown(timeout_millis, **kwargs)

    return WithHistograms(exporter._preferred_temporality, exporter._preferred_aggregation)


def _histograms() -> list[Metric]:
    """Both histograms of every guard, as the SDK would have collected them: cumulative, and they say so."""
    from opentelemetry.sdk.metrics.export import AggregationTemporality, Histogram, HistogramDataPoint, Metric

    now_ns = time.time_ns()
    seen = registry.snapshots()

    def point(attributes: Attributes, durations: Durations) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes=attributes,
            start_time_unix_nano=registry.BEGAN_NS,
            time_unix_nano=now_ns,
            count=durations.calls,
            sum=durations.seconds,
            bucket_counts=durations.counts,
            explicit_bounds=durations.bounds,
            min=_UNKNOWN,
            max=_UNKNOWN,
        )

    return [
        Metric(
            measure.name,
            measure.description,
            measure.unit,
            Histogram(
                [point(*found) for snapshot in seen for found in measures.histograms(measure, snapshot)],
                AggregationTemporality.CUMULATIVE,
            ),
        )
        for measure in measures.HISTOGRAMS
    ]
