"""Quotas as pages, API and command line see them, and what a caller may do to them: audited before it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prodsprints.controls.providers.quotas import book, drafting
from prodsprints.controls.providers.quotas.desk import Desk
from prodsprints.controls.providers.quotas.drafting import said
from prodsprints.controls.providers.quotas.errors import QuotaInputError
from prodsprints.controls.providers.quotas.forecast import Forecast, Outlook, Sample
from prodsprints.controls.providers.quotas.keeper import QuotaKeeper
from prodsprints.controls.providers.quotas.model import Day, Kind, Place, Quota, Request, Source
from prodsprints.guard.errors import GuardInputError
from prodsprints.guard.profiles import FILE, profile, profiles
from prodsprints.kernel import clock
from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.validation import nearest
from prodsprints.ledger import people
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site


@dataclass(frozen=True)
class Standing:
    """One quota as it stands now, with its open or newest request."""

    quota: Quota
    forecast: Forecast | None
    request: Request | None
    at: datetime

    @property
    def state(self) -> str:
        """In one word: reached, due, soon, steady, unknown."""
        if self.forecast is None or self.forecast.outlook is Outlook.UNKNOWN:
            return "quota-unknown"
        if self.forecast.outlook is Outlook.REACHED:
            return "quota-reached"
        if drafting.is_due(self.quota, self.forecast, self.at):
            return "quota-due"
        return "quota-soon" if self.forecast.outlook is Outlook.REACHES else "quota-steady"

    @property
    def use(self) -> str:
        """How much of it is used, in words."""
        if self.forecast is None:
            return "its limit is not known yet"
        used = "not measured" if self.forecast.used is None else said(self.forecast.used)
        unit = f" {self.quota.unit}" if self.quota.unit else ""
        return f"{used} of {said(self.forecast.limit)}{unit}"

    @property
    def share(self) -> float | None:
        """What part of it is used, in per cent."""
        known = self.forecast is not None and self.forecast.used is not None
        return 100 * self.forecast.used / self.forecast.limit if known else None  # type: ignore[union-attr, operator]

    @property
    def outlook(self) -> str:
        """When the limit is reached, in a sentence."""
        return _outlook(self.forecast)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        quota, found = self.quota, self.forecast
        return {
            "id": str(quota.id),
            **vars(quota.place),
            "name": quota.name,
            "unit": quota.unit,
            "kind": quota.kind,
            "source": quota.source,
            "limit": quota.limit,
            "limit_at": _iso(quota.limit_at),
            "adjustable": quota.adjustable,
            "lead_days": quota.lead_days,
            "trouble": quota.trouble,
            "measured_at": _iso(quota.measured_at),
            "used": found.used if found else None,
            "state": self.state.removeprefix("quota-"),
            "outlook": self.outlook,
            "reaches": _iso(found.reaches) if found else None,
            "earliest": _iso(found.earliest) if found else None,
            "latest": _iso(found.latest) if found else None,
            "horizon": _iso(found.horizon) if found else None,
            "seconds_left": found.seconds_left(self.at) if found else None,
            "per_day": found.per_day if found else None,
            "request": None if self.request is None else request_as_json(self.request),
        }


@dataclass(frozen=True)
class Shown:
    """One quota with all that is known of it."""

    standing: Standing
    days: Sequence[Day]
    requests: Sequence[Request]
    names: dict[str, str]


def standings(here: Site, caller: Caller, provider: str | None = None) -> list[Standing]:
    """Every quota, the one whose limit is nearest first."""
    now = clock.now()
    waiting = book.open_requests(here.db, caller.tenant_id)
    found = [
        Standing(quota, book.foreseen(here.db, caller.tenant_id, quota, now), waiting.get(quota.id), now)
        for quota in book.quotas(here.db, caller.tenant_id, provider)
    ]
    return sorted(found, key=_nearness)


def shown(here: Site, caller: Caller, id: UUID) -> Shown:
    """One of them. Raises UnknownQuotaError."""
    now, quota = clock.now(), book.quota(here.db, caller.tenant_id, id)
    requests = book.requests(here.db, caller.tenant_id, id)
    standing = Standing(quota, book.foreseen(here.db, caller.tenant_id, quota, now), next(iter(requests), None), now)
    named = {one.person for one in requests if one.person}
    return Shown(
        standing,
        book.days(here.db, caller.tenant_id, id),
        requests,
        people.names(here.db, caller.tenant_id, named),
    )


def follow(
    here: Site,
    caller: Caller,
    *,
    provider: str,
    account: str,
    region: str = "",
    service: str = "",
    code: str,
    name: str = "",
    unit: str = "",
    kind: Kind = Kind.RESOURCE,
    limit: float | None = None,
    published: bool = False,
    lead_days: int = 14,
    id: UUID,
) -> Standing:
    """Keep book of a quota. Without a limit its provider's API is asked; `published` takes it from a profile of ours.

    Raises QuotaInputError.
    """
    place = Place(provider, account, region, service, code).checked()
    if limit is not None and published:
        raise QuotaInputError(
            "A limit is either given or the published one.", next_step="Leave out one of `limit` and `published`."
        )
    source = Source.PROVIDER if limit is None else Source.HAND
    if published:
        source, kind, unit = Source.PUBLISHED, Kind.RATE, "requests per second"
        limit = _published(here, provider)
    if source is Source.PROVIDER:
        with _desks(here) as at:
            if provider not in at:
                raise QuotaInputError(
                    f"Nobody here knows an API that tells quotas of {provider!r}{nearest(provider, list(at)) or '.'}",
                    next_step=f"Give the limit by hand, or follow a quota of {', '.join(sorted(at))}.",
                )
            at[provider].check(place)
    _note(here, caller, "follow quota", str(place))
    made = book.follow(
        here.db,
        caller.tenant_id,
        place,
        id=id,
        source=source,
        kind=kind,
        name=name,
        unit=unit,
        limit=limit,
        lead_days=lead_days,
    )
    return shown(here, caller, made.id).standing


def forget(here: Site, caller: Caller, id: UUID) -> None:
    """Follow it no longer. Raises UnknownQuotaError."""
    _note(here, caller, "forget quota", str(book.quota(here.db, caller.tenant_id, id).place))
    book.forget(here.db, caller.tenant_id, id)


def set_limit(here: Site, caller: Caller, id: UUID, limit: float) -> Standing:
    """Set its limit by hand. Raises UnknownQuotaError, QuotaInputError."""
    _note(here, caller, "set limit", f"{book.quota(here.db, caller.tenant_id, id).place} to {limit:g}")
    book.set_limit(here.db, caller.tenant_id, id, limit)
    return shown(here, caller, id).standing


def measure(here: Site, caller: Caller, id: UUID, samples: Sequence[Sample]) -> Standing:
    """Keep what was used. It is a measurement, and no privileged act. Raises UnknownQuotaError, QuotaInputError."""
    book.measure(here.db, caller.tenant_id, id, samples, clock.now())
    return shown(here, caller, id).standing


def draft(here: Site, caller: Caller, id: UUID) -> Request:
    """Draft the request now, due or not. Raises UnknownQuotaError, QuotaRequestError."""
    _note(here, caller, "draft quota request", str(book.quota(here.db, caller.tenant_id, id).place))
    with _desks(here) as at:
        return QuotaKeeper(here.db, at).draft(caller.tenant_id, id)


def send(here: Site, caller: Caller, request_id: UUID, desired: float) -> Request:
    """Send the draft that asks for `desired`; the worker brings it to the provider.

    Raises UnknownQuotaError, QuotaRequestError.
    """
    found = book.request(here.db, caller.tenant_id, request_id)
    place = book.quota(here.db, caller.tenant_id, found.quota_id).place
    _note(here, caller, "send quota request", f"{place} to {desired:g}")
    return book.ask(here.db, caller.tenant_id, request_id, desired=desired, actor=caller.actor)


def drop(here: Site, caller: Caller, request_id: UUID) -> Request:
    """Do not send a draft. Raises UnknownQuotaError, QuotaRequestError."""
    found = book.request(here.db, caller.tenant_id, request_id)
    _note(here, caller, "drop quota request", str(book.quota(here.db, caller.tenant_id, found.quota_id).place))
    return book.drop(here.db, caller.tenant_id, request_id, actor=caller.actor)


def request_as_json(request: Request) -> dict[str, Any]:
    """A request for programs; who sent it is not in it."""
    return {
        "id": str(request.id),
        "quota_id": str(request.quota_id),
        "state": request.state,
        "desired": request.desired,
        "limit": request.limit,
        "reason": request.reason,
        "call": None if request.call is None else request.call.as_json(),
        "reaches": _iso(request.reaches),
        "provider_id": request.provider_id,
        "provider_status": request.provider_status,
        "trouble": request.trouble,
        "created_at": clock.iso(request.created_at),
        "asked_at": _iso(request.asked_at),
        "sent_at": _iso(request.sent_at),
        "ended_at": _iso(request.ended_at),
    }


def amount(text: str, what: str) -> float:
    """A number as people type it in a form. Raises UsageError."""
    try:
        return float(text.strip().replace(",", "").replace("_", ""))
    except ValueError:
        raise UsageError(
            f"{text.strip()[:40]!r} is no number.", next_step=f"Give the {what} as a number, such as 5000."
        ) from None


@contextmanager
def _desks(here: Site) -> Iterator[Mapping[str, Desk]]:
    """What providers' APIs take and how it is written; nothing is asked from here."""
    from prodsprints.controls.providers.guards import Guards
    from prodsprints.controls.providers.quotas import desks  # botocore, which a page does not need

    with desks.opened(here.settings.home, Guards(), endpoint=desks.aws_endpoint()) as at:
        yield at


def _published(here: Site, provider: str) -> float:
    overrides = here.settings.home / FILE
    try:
        found = profile(provider, overrides=overrides)
    except GuardInputError as error:
        raise QuotaInputError(error.what, why=error.why, next_step=error.next_step) from None
    if found.limit is None:
        others = sorted(name for name, one in profiles(overrides=overrides).items() if one.limit)
        raise QuotaInputError(
            f"{provider} publishes no limit.",
            why=found.unpublished,
            next_step=f"Give it by hand; published are those of {', '.join(others)}.",
        )
    return found.limit.rate


def _outlook(found: Forecast | None) -> str:
    if found is None:
        return "Its limit is not known yet."
    if found.outlook is Outlook.UNKNOWN:
        return "Not enough data: it takes seven days, or twelve hours within a week, and none older than eight days."
    if found.outlook is Outlook.REACHED:
        return "The limit is reached."
    if found.outlook is Outlook.REACHES and found.reaches is not None:
        band = ""
        if found.earliest and found.earliest.date() != found.reaches.date():
            until = f"and {found.latest.date()}" if found.latest else "and no day that can be foreseen"
            band = f", between {found.earliest.date()} {until}"
        return f"Reached on {found.reaches.date()}{band}."
    horizon = f" until {found.horizon.date()}" if found.horizon else ""
    watch = f" It could be on {found.earliest.date()} at the earliest." if found.earliest else ""
    return f"Not reached{horizon}, as far ahead as {found.points} points allow to look.{watch}"


def _nearness(one: Standing) -> tuple[bool, float, str]:
    left = one.forecast.seconds_left(one.at) if one.forecast else None
    return left is None, left if left is not None else -(one.share or 0.0), str(one.quota.place)


def _note(here: Site, caller: Caller, action: str, subject: str) -> None:
    here.audit(caller.tenant_id).record(caller.actor, action, subject)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else clock.iso(moment)
