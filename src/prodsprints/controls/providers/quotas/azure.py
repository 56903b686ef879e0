"""Azure: the limit, its use and its increase by the Microsoft.Quota API.

Shapes: learn.microsoft.com/rest/api/quota, version 2025-03-01. Never tried against Azure itself: the tests' peer is a
double of ours that answers in these shapes.
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

from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas import exchange
from prodsprints.controls.providers.quotas.desk import within
from prodsprints.controls.providers.quotas.errors import QuotaInputError
from prodsprints.controls.providers.quotas.forecast import Sample
from prodsprints.controls.providers.quotas.model import Call, Kind, Place, Placed, Quota, Reading, State

MANAGEMENT = "https://management.azure.com"
_VERSION = "api-version=2025-03-01"
_WHO = "Azure Quota"
_SUBSCRIPTION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SERVICE = re.compile(r"Microsoft\.[A-Za-z]{2,60}")
_OPEN = {"Accepted", "InProgress"}


class AzureDesk:
    """Quotas of a subscription in one region."""

    def __init__(
        self, http: httpx.Client, guards: Guards, *, token: Callable[[], str], management: str = MANAGEMENT
    ) -> None:
        self._http = http
        self._token = token
        self._at = management
        self._guards = guards

    def check(self, place: Place) -> None:
        """As `Desk.check`."""
        for value, shape, what in (
            (place.account, _SUBSCRIPTION, "the subscription's id"),
            (place.region, re.compile(r"[a-z0-9]{2,40}"), "a region such as westeurope"),
            (place.service, _SERVICE, "a resource provider such as Microsoft.Compute"),
        ):
            if not shape.fullmatch(value):
                raise QuotaInputError(
                    f"{value[:80]!r} is not {what}.", next_step="`az quota list --scope …` lists what there is."
                )

    def call(self, place: Place, desired: float, reason: str, id: UUID) -> Call:  # noqa: ARG002 - Azure takes neither
        """As `Desk.call`: Quota - Create Or Update, which sets one value and so can be repeated."""
        limit = {"limitObjectType": "LimitValue", "value": ceil(desired)}
        body = {"properties": {"limit": limit, "name": {"value": place.code}}}
        return Call("PUT", self._url(place, "quotas", place.code), body, {"Content-Type": "application/json"})

    def read(self, place: Place, since: datetime, now: datetime) -> Reading:  # noqa: ARG002 - Azure tells the present
        """As `Desk.read`: Quota - Get and Usages - Get."""
        answer = self._asked(place, "GET", self._url(place, "quotas", place.code))
        properties = exchange.member(answer, "properties")
        limit = exchange.limit_of(properties, "limit", "value", who=_WHO)
        use = self._asked(place, "GET", self._url(place, "usages", place.code))
        used = exchange.number(use, "properties", "usages", "value")
        unit = exchange.text(properties, "unit", longest=40)
        return Reading(
            limit=limit,
            name=exchange.text(properties, "name", "localizedValue") or place.code,
            unit="" if unit == "Count" else unit,
            kind=Kind.RATE if exchange.text(properties, "quotaPeriod") else Kind.RESOURCE,
            adjustable=exchange.member(properties, "isQuotaApplicable") is not False,
            samples=(Sample(now, used),) if used is not None and used >= 0 else (),
        )

    def pending(self, place: Place, call: Call) -> Placed | None:  # noqa: ARG002 - one at a time, whatever it asks for
        """As `Desk.pending`: Quota Request Status - List."""
        answer = self._asked(place, "GET", self._url(place, "quotaRequests"))
        for request in exchange.items(answer, "value"):
            asked_for = exchange.items(request, "properties", "value")
            if any(exchange.text(one, "name", "value") == place.code for one in asked_for):
                placed = _placed(request)
                if placed.state is State.SENT:
                    return placed
        return None

    def send(self, place: Place, call: Call) -> Placed:
        """As `Desk.send`. Azure names the request in the answer, or the answer is the quota itself: then by list."""
        answer = self._asked(place, "PUT", call.url, json.dumps(call.body))
        if exchange.member(answer, "properties", "provisioningState") and "quotaRequests" in exchange.text(
            answer, "id", longest=600
        ):
            return _placed(answer)
        granted = exchange.number(answer, "properties", "limit", "value")
        if granted is not None and granted >= call.body["properties"]["limit"]["value"]:
            return Placed(exchange.text(answer, "name") or place.code, "Succeeded", State.GRANTED)
        return self.pending(place, call) or Placed("", "Accepted", State.SENT)

    def follow(self, quota: Quota, placed_id: str) -> Placed:
        """As `Desk.follow`: Quota Request Status - Get."""
        if not placed_id:  # it was accepted without a name: the limit will show
            return Placed("", "Accepted", State.SENT)
        return _placed(self._asked(quota.place, "GET", self._url(quota.place, "quotaRequests", placed_id)))

    def _url(self, place: Place, *parts: str) -> str:
        scope = f"subscriptions/{place.account}/providers/{place.service}/locations/{place.region}"
        path = "/".join(quote(part, safe="") for part in parts)
        return f"{self._at}/{scope}/providers/Microsoft.Quota/{path}?{_VERSION}"

    def _asked(self, place: Place, method: str, url: str, content: str | None = None) -> dict[str, Any]:
        account = f"{place.account} {self._at}" if self._at != MANAGEMENT else place.account
        return within(self._guards, "azure", account, self._ask)(method, url, content)

    def _ask(self, method: str, url: str, content: str | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token()}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        return exchange.ask(self._http, _WHO, method, url, headers=headers, content=content)


def _placed(request: Any) -> Placed:
    name, status = exchange.text(request, "name"), exchange.text(request, "properties", "provisioningState")
    if not name or not status:
        raise exchange.unexpected(_WHO, "It names no request with a state.")
    state = State.SENT if status in _OPEN else State.GRANTED if status == "Succeeded" else State.DENIED
    return Placed(name, status, state)
