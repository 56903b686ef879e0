"""An OTLP/HTTP collector on loopback that keeps what it was sent, decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What came, oldest first."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.traces: list[ExportTraceServiceRequest] = []
        self.bytes = b""

    def points(self, name: str) -> list[tuple[dict[str, str], Any]]:
        """The points of one metric in the newest request, each with its attributes."""
        found = []
        for resource in self.metrics[-1].resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        kind = metric.WhichOneof("data")
                        assert kind is not None
                        found += [(attributes(point), point) for point in getattr(metric, kind).data_points]
        return found

    def metric(self, name: str) -> Any:
        """One metric of the newest request."""
        scopes = [scope for resource in self.metrics[-1].resource_metrics for scope in resource.scope_metrics]
        return next(metric for scope in scopes for metric in scope.metrics if metric.name == name)

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def attributes(point: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value or str(pair.value.int_value) for pair in point.attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    kept = Collector("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = decompress(body)
            kept.bytes += body
            if self.path == "/v1/metrics":
                kept.metrics.append(ExportMetricsServiceRequest.FromString(body))
            else:
                assert self.path == "/v1/traces"
                kept.traces.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)
