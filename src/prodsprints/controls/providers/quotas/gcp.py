"""Google Cloud: the limit by the Cloud Quotas API, its use by Cloud Monitoring, and a QuotaPreference to raise it.

Shapes: cloud.google.com/docs/quotas/reference/rest/v1, cloud.google.com/monitoring/api/ref_v3/rest. Never tried against
Google itself: the tests' peer is a double of ours that answers in these shapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from math import ceil
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from prodsprints.controls.providers.errors import ProviderRefusedError
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas import exchange
from prodsprints.controls.providers.quotas.desk import within
from prodsprints.controls.providers.quotas.errors import QuotaInputError
from prodsprints.controls.providers.quotas.forecast import Sample
from prodsprints.controls.providers.quotas.model import Call, Kind, Place, Placed, Quota, Reading, State
from prodsprints.kernel import clock

QUOTAS = "https://cloudquotas.googleapis.com"
MONITORING = "https://monitoring.googleapis.com"
_WHO = "Google Cloud Quotas"
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]|[0-9]{6,20}")
_SERVICE = re.compile(r"[a-z0-9.-]{1,80}\.googleapis\.com")
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0}


class GcpDesk:
    """Quotas of a project. `contact` is whom Google writes to about a request: it takes none without."""

    def __init__(
        self,
        http: httpx.Client,
        guards: Guards,
        *,
        token: Callable[[], str],
        contact: Callable[[], str] = str,
        quotas: str = QUOTAS,
        monitoring: str = MONITORING,
    ) -> None:
        self._http = http
        self._token = token
        self._contact = contact
        self._at = quotas
        self._monitoring = monitoring
        self._guards = guards

    def check(self, place: Place) -> None:
        """As `Desk.check`."""
        if not _PROJECT.fullmatch(place.account):
            raise QuotaInputError(
                f"{place.account[:80]!r} is no project.", next_step="Give the project's id or number."
            )
        if not _SERVICE.fullmatch(place.service):
            raise QuotaInputError(
                f"{place.service[:80]!r} is no service of Google's.",
                next_step="Give one such as compute.googleapis.com.",
            )

    def call(self, place: Place, desired: float, reason: str, id: UUID) -> Call:
        """As `Desk.call`: quotaPreferences.create, under the request's own id, so that Google takes it once."""
        url = f"{self._project(place)}/quotaPreferences?quotaPreferenceId=prodsprints-{id}"
        body: dict[str, Any] = {
            "service": place.service,
            "quotaId": place.code,
            "quotaConfig": {"preferredValue": str(ceil(desired))},
            "justification": reason,
        }
        if place.region:
            body["dimensions"] = {"region": place.region}
        if contact := self._contact():
            body["contactEmail"] = contact
        return Call("POST", url, body, {"Content-Type": "application/json"})

    def read(self, place: Place, since: datetime, now: datetime) -> Reading:
        """As `Desk.read`: quotaInfos.get, and timeSeries.list for its metric."""
        info = self._asked(
            place, "GET", f"{self._project(place)}/services/{place.service}/quotaInfos/{quote(place.code)}"
        )
        limit = exchange.limit_of(_details(info, place.region), "value", who=_WHO)
        period = exchange.text(info, "refreshInterval")
        metric = exchange.text(info, "metric")
        eligible = exchange.member(info, "quotaIncreaseEligibility", "isEligible")
        return Reading(
            limit=limit,
            name=exchange.text(info, "quotaDisplayName") or exchange.text(info, "metricDisplayName") or place.code,
            unit=f"per {period}" if period else exchange.text(info, "metricUnit", longest=40).strip("1"),
            kind=Kind.RATE if period else Kind.RESOURCE,
            adjustable=exchange.member(info, "isFixed") is not True and eligible is not False,
            samples=self._use(place, metric, period, since, now) if metric else (),
            note="" if metric else "Google does not tell the use of this quota: give it by hand, or from a script.",
        )

    def pending(self, place: Place, call: Call) -> Placed | None:
        """As `Desk.pending`: quotaPreferences.list, by what it is for."""
        asked_for = quote(f'service="{place.service}" AND quotaId="{place.code}"')
        answer = self._asked(place, "GET", f"{self._project(place)}/quotaPreferences?pageSize=100&filter={asked_for}")
        for preference in exchange.items(answer, "quotaPreferences"):
            if (exchange.member(preference, "dimensions") or {}) != call.body.get("dimensions", {}):
                continue
            placed = _placed(preference)
            if placed.state is State.SENT:
                return placed
        return None

    def send(self, place: Place, call: Call) -> Placed:
        """As `Desk.send`. Under the same id Google answers ALREADY_EXISTS: then it has it."""
        if not call.body.get("contactEmail"):
            raise ProviderRefusedError(
                "Google takes no increase without an address to write to.",
                next_step="Put one in <home>/secrets/gcp-contact, draft the request again, and send that.",
            )
        return _placed(self._asked(place, "POST", call.url, json.dumps(call.body)))

    def follow(self, quota: Quota, placed_id: str) -> Placed:
        """As `Desk.follow`: quotaPreferences.get."""
        return _placed(self._asked(quota.place, "GET", f"{self._at}/v1/{quote(placed_id)}"))

    def _use(self, place: Place, metric: str, period: str, since: datetime, now: datetime) -> tuple[Sample, ...]:
        type = "rate/net_usage" if period else "allocation/usage"
        wanted = [
            f'metric.type="serviceruntime.googleapis.com/quota/{type}"',
            'resource.type="consumer_quota"',
            f'metric.label.quota_metric="{metric}"',
            f'resource.label.service="{place.service}"',
        ]
        if place.region:
            wanted.append(f'resource.label.location="{place.region}"')
        day = period == "day"
        question = {
            "filter": " AND ".join(wanted),
            "interval.startTime": clock.iso(since),
            "interval.endTime": clock.iso(now),
            "aggregation.alignmentPeriod": f"{_SECONDS['day' if day else 'hour']:.0f}s",
            "aggregation.perSeriesAligner": "ALIGN_SUM" if period else "ALIGN_MAX",
            "aggregation.crossSeriesReducer": "REDUCE_SUM",
            "pageSize": "1000",
        }
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in question.items())
        answer = self._asked(place, "GET", f"{self._monitoring}/v3/projects/{place.account}/timeSeries?{asked}")
        # the sum of an hour, as the period's own: its mean, since Monitoring keeps no finer one for long
        share = _SECONDS.get(period, _SECONDS["hour"]) / _SECONDS["hour"] if period and not day else 1.0
        return tuple(
            Sample(at, used * share)
            for series in exchange.items(answer, "timeSeries")
            for point in exchange.items(series, "points")
            if (at := _moment(exchange.text(point, "interval", "endTime"))) is not None
            and (used := _value(exchange.member(point, "value"))) is not None
            and since <= at <= now
        )

    def _project(self, place: Place) -> str:
        return f"{self._at}/v1/projects/{place.account}/locations/global"

    def _asked(self, place: Place, method: str, url: str, content: str | None = None) -> dict[str, Any]:
        account = f"{place.account} {self._at}" if self._at != QUOTAS else place.account
        return within(self._guards, "gcp", account, self._ask)(method, url, content)

    def _ask(self, method: str, url: str, content: str | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token()}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        return exchange.ask(self._http, _WHO, method, url, headers=headers, content=content)


def _details(info: dict[str, Any], region: str) -> Any:
    """What holds for `region`: its own entry, or the one that names no region."""
    general = None
    for entry in exchange.items(info, "dimensionsInfos"):
        where = exchange.member(entry, "dimensions")
        named = where.get("region", "") if isinstance(where, dict) else ""
        locations = exchange.member(entry, "applicableLocations")
        if region and (named == region or (not named and isinstance(locations, list) and region in locations)):
            return exchange.member(entry, "details")
        if not named and general is None:
            general = exchange.member(entry, "details")
    return general


def _placed(preference: dict[str, Any]) -> Placed:
    name = exchange.text(preference, "name", longest=300)
    wanted = exchange.number(preference, "quotaConfig", "preferredValue")
    granted = exchange.number(preference, "quotaConfig", "grantedValue")
    if not name or wanted is None:
        raise exchange.unexpected(_WHO, "It names no quota preference.")
    if exchange.member(preference, "reconciling") is True or granted is None:
        return Placed(name, "reconciling", State.SENT)
    said = exchange.text(preference, "quotaConfig", "stateDetail") or f"granted {granted:g}"
    return Placed(name, said, State.GRANTED if granted >= wanted else State.DENIED)


def _value(value: Any) -> float | None:
    found = exchange.number(value, "int64Value")
    found = exchange.number(value, "doubleValue") if found is None else found
    return found if found is not None and found >= 0 else None


def _moment(written: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        return None
    return found if found.tzinfo else None
