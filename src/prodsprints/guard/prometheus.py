"""What guards tell, for Prometheus: a collector that reads snapshots when it is scraped, and keeps nothing itself.

    from prometheus_client import REGISTRY
    from prodsprints.guard.prometheus import GuardCollector

    REGISTRY.register(GuardCollector())

Needs the package prometheus-client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from prodsprints.guard import measures, registry
from prodsprints.guard.measures import Measure
from prodsprints.guard.telemetry import Durations, Snapshot

Seen = tuple[str, Snapshot]
"""Who saw it, a worker's id say (empty: this process), and what."""


def _here() -> Iterable[Seen]:
    return [("", snapshot) for snapshot in registry.snapshots()]


class GuardCollector:
    """Collects what `read` returns; by default what this process' guards have seen, without a label for the worker."""

    def __init__(self, read: Callable[[], Iterable[Seen]] = _here) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """One family for each measure."""
        seen = list(self._read())
        for measure in measures.HISTOGRAMS:
            yield self._histogram(measure, seen)
        for measure in measures.NUMBERS:
            yield self._number(measure, seen)

    def describe(self) -> Iterator[Metric]:
        """The families without values, so that registering this reads nothing."""
        for measure in measures.HISTOGRAMS:
            yield self._histogram(measure, [])
        for measure in measures.NUMBERS:
            yield self._number(measure, [])

    def _histogram(self, measure: Measure, seen: list[Seen]) -> Metric:
        family = HistogramMetricFamily(_name(measure), measure.description, labels=self._labels(measure))
        for worker, snapshot in seen:
            for attributes, durations in measures.histograms(measure, snapshot):
                family.add_metric(self._values(measure, worker, attributes), _buckets(durations), durations.seconds)
        return family

    def _number(self, measure: Measure, seen: list[Seen]) -> Metric:
        kind = CounterMetricFamily if measure.kind == "counter" else GaugeMetricFamily
        family = kind(_name(measure), measure.description, labels=self._labels(measure))
        for worker, snapshot in seen:
            for attributes, value in measures.numbers(measure, snapshot):
                family.add_metric(self._values(measure, worker, attributes), value)
        return family

    def _labels(self, measure: Measure) -> list[str]:
        own = [attribute.removeprefix("guard.") for attribute in measure.attributes]
        return own if self._read is _here else ["worker", *own]

    def _values(self, measure: Measure, worker: str, attributes: dict[str, str]) -> list[str]:
        own = [attributes.get(attribute, "") for attribute in measure.attributes]
        return own if self._read is _here else [worker, *own]


def exposition(read: Callable[[], Iterable[Seen]], accept: str) -> tuple[bytes, str]:
    """What a scrape with that Accept header is answered, and its media type: the text format, or OpenMetrics."""
    collectors = CollectorRegistry(auto_describe=False)
    collectors.register(GuardCollector(read))
    encode, media_type = choose_encoder(accept)
    return encode(collectors), media_type


def _name(measure: Measure) -> str:
    """`guard_call_duration_seconds`, as OpenTelemetry's names are written in Prometheus."""
    return measure.name.replace(".", "_") + ("_seconds" if measure.unit == "s" else "")


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    bounds = [*(repr(bound) for bound in durations.bounds), "+Inf"]
    return list(zip(bounds, accumulate(durations.counts), strict=True))
