"""A double of ours in front of moto: AWS's desk for increases, which moto does not have, and a quota's use.

moto answers GetServiceQuota, STS and CloudWatch. Ours are RequestServiceQuotaIncrease, GetRequestedServiceQuotaChange
and ListRequestedServiceQuotaChangeHistoryByQuota, and that a quota names the metric of its use.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import httpx

_MOST_BYTES = 256 * 1024
_HOP = {"host", "content-length", "connection", "transfer-encoding"}


@dataclass
class Office:
    """What the double was asked for, and what it grants: `requests` in the order in which they came."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)
    now: datetime | None = None
    loses_answers: bool = False
    periods: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Which quotas are rates, by their code: counted in the sum over that period."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Every question about use, as it came."""

    def answer(self, id: str, status: str) -> None:
        """Decide on a request; one that is approved raises the limit."""
        for request in self.requests:
            if request["Id"] == id:
                request["Status"] = status
                if status == "APPROVED":
                    self.limits[request["QuotaCode"]] = request["DesiredValue"]

    def take(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """What AWS would answer."""
        of_quota = [one for one in self.requests if one["QuotaCode"] == asked.get("QuotaCode")]
        if operation == "ListRequestedServiceQuotaChangeHistoryByQuota":
            return 200, {"RequestedQuotas": of_quota}
        if operation == "GetRequestedServiceQuotaChange":
            found = [one for one in self.requests if one["Id"] == asked.get("RequestId")]
            return (200, {"RequestedQuota": found[0]}) if found else _refused("NoSuchResourceException")
        if any(one["Status"] in {"PENDING", "CASE_OPENED"} for one in of_quota):
            return _refused("ResourceAlreadyExistsException")
        made = {
            "Id": uuid4().hex,
            "ServiceCode": asked["ServiceCode"],
            "QuotaCode": asked["QuotaCode"],
            "DesiredValue": float(asked["DesiredValue"]),
            "Status": "PENDING",
            "Created": self.now.timestamp() if self.now else 0.0,
        }
        self.requests.append(made)
        return 200, {"RequestedQuota": made}


_OURS = {
    "RequestServiceQuotaIncrease",
    "GetRequestedServiceQuotaChange",
    "ListRequestedServiceQuotaChangeHistoryByQuota",
}


@contextmanager
def office(upstream: str) -> Iterator[Office]:
    """The double before the moto server at `upstream`, for the length of the block."""
    with httpx.Client(trust_env=False, timeout=10.0) as moto:
        made = Office("")
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made, moto, upstream))
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(office: Office, moto: httpx.Client, upstream: str) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), _MOST_BYTES))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            if operation in _OURS:
                with lock:
                    status, answer = office.take(operation, json.loads(content))
                if office.loses_answers and operation == "RequestServiceQuotaIncrease":
                    status, answer = 502, {}  # as of whatever stands between us and AWS
                self._say(status, json.dumps(answer).encode())
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            told = moto.post(f"{upstream}/", content=content, headers=headers)
            body = told.content
            if operation == "GetMetricStatistics":
                office.asked.append(json.loads(content))
            if operation == "GetServiceQuota" and told.is_success:
                body = _with_use(json.loads(body), office)
            self._say(told.status_code, body, told.headers.get("Content-Type", ""))

        def _say(self, status: int, body: bytes, kind: str = "application/x-amz-json-1.1") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _with_use(answer: dict[str, Any], office: Office) -> bytes:
    quota = answer["Quota"]
    quota["Value"] = office.limits.get(quota["QuotaCode"], quota["Value"])
    period = office.periods.get(quota["QuotaCode"])
    if period:
        quota["Period"] = {"PeriodValue": period[0], "PeriodUnit": period[1]}
    quota["UsageMetric"] = {
        "MetricNamespace": "AWS/Usage",
        "MetricName": "ResourceCount",
        "MetricDimensions": metric_dimensions(quota["QuotaCode"]),
        "MetricStatisticRecommendation": "Sum" if period else "Maximum",
    }
    return json.dumps(answer).encode()


def metric_dimensions(code: str) -> dict[str, str]:
    """By which a quota's use is found in CloudWatch."""
    return {"Service": "VPC", "Type": "Resource", "Resource": code, "Class": "None"}


def _refused(code: str) -> tuple[int, dict[str, Any]]:
    return 400, {"__type": code, "message": "The double says so"}
