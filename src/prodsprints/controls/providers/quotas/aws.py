"""AWS Service Quotas: the limit, its use by CloudWatch's AWS/Usage, and RequestServiceQuotaIncrease."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

import httpx

from prodsprints.controls.providers.errors import ProviderRefusedError
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas import exchange
from prodsprints.controls.providers.quotas.desk import within
from prodsprints.controls.providers.quotas.errors import QuotaInputError
from prodsprints.controls.providers.quotas.forecast import Sample
from prodsprints.controls.providers.quotas.model import Call, Kind, Place, Placed, Quota, Reading, State
from prodsprints.controls.providers.signing import Service, Signer
from prodsprints.guard import Profile
from prodsprints.guard.transports.botocore import THROTTLED

_QUOTAS = "ServiceQuotasV20190624"
_METRICS = "GraniteServiceVersion20100801"
_CLOUDWATCH = Profile("aws-cloudwatch", title="Amazon CloudWatch")
_OPEN = {"PENDING", "CASE_OPENED"}
_GRANTED = {"APPROVED"}
_LARGEST = 1e10  # DesiredValue's own bound
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}")
_CODE = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,127}")
_SECONDS = {
    "MICROSECOND": 1e-6,
    "MILLISECOND": 1e-3,
    "SECOND": 1,
    "MINUTE": 60,
    "HOUR": 3600,
    "DAY": 86_400,
    "WEEK": 604_800,
}
_MOST_POINTS = 1_440  # of GetMetricStatistics
_FINE_SECONDS, _COARSE_SECONDS = 300, 3_600


class AwsDesk:
    """Service Quotas of the account that `account` says the credentials belong to; others' are not spoken for."""

    def __init__(
        self,
        http: httpx.Client,
        signer: Signer,
        guards: Guards,
        *,
        account: Callable[[str], str],
        endpoint: str | None = None,
    ) -> None:
        self._http = http
        self._guards = guards
        self._signer = signer
        self._account = account
        self._endpoint = endpoint

    def check(self, place: Place) -> None:
        """As `Desk.check`."""
        for value, shape, what in (
            (place.account, _ACCOUNT, "the account's 12 digits"),
            (place.region, _REGION, "a region such as eu-central-1"),
            (place.service, _CODE, "a service code such as vpc"),
            (place.code, _CODE, "a quota code such as L-F678F1CE"),
        ):
            if not shape.fullmatch(value):
                raise QuotaInputError(
                    f"{value[:80]!r} is not {what}.",
                    next_step="`aws service-quotas list-service-quotas --service-code …` lists the codes.",
                )

    def call(self, place: Place, desired: float, reason: str, id: UUID) -> Call:  # noqa: ARG002 - AWS takes no reason
        """As `Desk.call`: RequestServiceQuotaIncrease."""
        body = {"ServiceCode": place.service, "QuotaCode": place.code, "DesiredValue": min(desired, _LARGEST)}
        headers = {
            "X-Amz-Target": f"{_QUOTAS}.RequestServiceQuotaIncrease",
            "Content-Type": "application/x-amz-json-1.1",
        }
        return Call("POST", self._service("servicequotas", place).url, body, headers)

    def read(self, place: Place, since: datetime, now: datetime) -> Reading:
        """As `Desk.read`: GetServiceQuota, and GetMetricStatistics where the quota names its metric."""
        answer = self._quotas(place, "GetServiceQuota", {"ServiceCode": place.service, "QuotaCode": place.code})
        quota = exchange.member(answer, "Quota")
        limit = exchange.limit_of(quota, "Value", who="AWS Service Quotas")
        seconds = _SECONDS.get(exchange.text(quota, "Period", "PeriodUnit"), 0) * (
            exchange.number(quota, "Period", "PeriodValue") or 0
        )
        metric = exchange.member(quota, "UsageMetric")
        unit = exchange.text(quota, "Unit", longest=40)
        return Reading(
            limit=limit,
            name=exchange.text(quota, "QuotaName") or place.code,
            unit="" if unit == "None" else unit,
            kind=Kind.RATE if seconds else Kind.RESOURCE,
            adjustable=exchange.member(quota, "Adjustable") is not False,
            samples=self._use(place, metric, seconds, since, now) if metric else (),
            note="" if metric else "AWS does not tell the use of this quota: give it by hand, or from a script.",
        )

    def pending(self, place: Place, call: Call) -> Placed | None:  # noqa: ARG002 - one at a time, whatever it asks for
        """As `Desk.pending`: ListRequestedServiceQuotaChangeHistoryByQuota."""
        which = {"ServiceCode": place.service, "QuotaCode": place.code, "MaxResults": 100}
        answer = self._quotas(place, "ListRequestedServiceQuotaChangeHistoryByQuota", which)
        known = map(_placed, exchange.items(answer, "RequestedQuotas"))
        return next((one for one in known if one.status in _OPEN), None)

    def send(self, place: Place, call: Call) -> Placed:
        """As `Desk.send`; AWS itself refuses a second open one."""
        answer = self._quotas(place, "RequestServiceQuotaIncrease", call.body)
        return _placed(exchange.member(answer, "RequestedQuota"))

    def follow(self, quota: Quota, placed_id: str) -> Placed:
        """As `Desk.follow`: GetRequestedServiceQuotaChange."""
        answer = self._quotas(quota.place, "GetRequestedServiceQuotaChange", {"RequestId": placed_id})
        return _placed(exchange.member(answer, "RequestedQuota"))

    def _use(
        self, place: Place, metric: Any, period_seconds: float, since: datetime, now: datetime
    ) -> tuple[Sample, ...]:
        statistic = "Sum" if exchange.text(metric, "MetricStatisticRecommendation") == "Sum" else "Maximum"
        if statistic == "Sum" and not period_seconds:
            statistic = "Maximum"
        # a sum is one over the quota's own period; a rate per second is seen by the minute at best
        counted = 60.0 * ceil(period_seconds / 60)
        fine = (now - since).total_seconds() < _MOST_POINTS * _FINE_SECONDS
        seconds = counted if statistic == "Sum" else _FINE_SECONDS if fine else _COARSE_SECONDS
        if statistic == "Sum":
            since = max(since, now - timedelta(seconds=seconds * (_MOST_POINTS - 1)))
        dimensions = exchange.member(metric, "MetricDimensions")
        answer = self._metrics(
            place,
            "GetMetricStatistics",
            {
                "Namespace": exchange.text(metric, "MetricNamespace"),
                "MetricName": exchange.text(metric, "MetricName"),
                "Dimensions": [
                    {"Name": str(name), "Value": str(value)}
                    for name, value in (dimensions.items() if isinstance(dimensions, dict) else ())
                ],
                "StartTime": int(since.timestamp()),
                "EndTime": int(now.timestamp()),
                "Period": int(seconds),
                "Statistics": [statistic],
            },
        )
        share = min(1.0, period_seconds / counted) if statistic == "Sum" else 1.0
        return tuple(
            Sample(datetime.fromtimestamp(at, UTC), used * share)
            for point in exchange.items(answer, "Datapoints")
            if (at := exchange.number(point, "Timestamp")) is not None
            and (used := exchange.number(point, statistic)) is not None
            and used >= 0
            and since.timestamp() - seconds <= at <= now.timestamp()
        )

    def _quotas(self, place: Place, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        self._ours(place)
        ask = self._within("aws-service-quotas", place)
        return ask(self._service("servicequotas", place), f"{_QUOTAS}.{operation}", body, "1.1")

    def _metrics(self, place: Place, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        ask = self._within(_CLOUDWATCH, place)
        return ask(self._service("monitoring", place), f"{_METRICS}.{operation}", body, "1.0")

    def _within(self, provider: str | Profile, place: Place) -> Callable[..., dict[str, Any]]:
        account = f"{place.account} {place.region}"
        return within(self._guards, provider, f"{account} {self._endpoint}" if self._endpoint else account, self._ask)

    def _ours(self, place: Place) -> None:
        found = self._account(place.region)
        if found != place.account:
            raise ProviderRefusedError(
                f"The worker's credentials belong to the AWS account {found}, not to {place.account}.",
                next_step="Give the worker that account's credentials, or forget the quota and follow it for this one.",
            )

    def _service(self, name: str, place: Place) -> Service:
        return self._signer.service(name, place.region, self._endpoint)

    def _ask(self, service: Service, target: str, body: dict[str, Any], version: str) -> dict[str, Any]:
        content = f"application/x-amz-json-{version}"
        request = self._signer.signed(service, json.dumps(body), content_type=content, target=target)
        return exchange.ask(
            self._http,
            f"AWS {service.name}",
            "POST",
            request.url,
            headers=request.headers,
            content=request.body,
            throttled=lambda refusal: refusal.code in THROTTLED,
        )


def _placed(request: Any) -> Placed:
    id, status = exchange.text(request, "Id"), exchange.text(request, "Status")
    if not id or not status:
        raise exchange.unexpected("AWS Service Quotas", "It names no request with a status.")
    state = State.SENT if status in _OPEN else State.GRANTED if status in _GRANTED else State.DENIED
    return Placed(id, status, state)
