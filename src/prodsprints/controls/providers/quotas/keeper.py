"""The control: reads what is used, foresees the limit, drafts the request in time, and delivers what a person sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from prodsprints.controls.providers.errors import ProviderRefusedError
from prodsprints.controls.providers.quotas import book, drafting
from prodsprints.controls.providers.quotas.desk import Desk
from prodsprints.controls.providers.quotas.drafting import Draft
from prodsprints.controls.providers.quotas.errors import QuotaInputError, QuotaRequestError
from prodsprints.controls.providers.quotas.forecast import Forecast, Outlook, Sample
from prodsprints.controls.providers.quotas.model import Call, Place, Placed, Quota, Request, Source, State
from prodsprints.kernel import clock
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.notify.message import Message, Severity
from prodsprints.store.database import Database
from prodsprints.store.errors import DatabaseUnavailableError

_AT_FIRST = timedelta(days=14)  # of use that the provider still knows when a quota is followed
_OVERLAP = timedelta(hours=1)  # what was counted late is counted


@dataclass(frozen=True)
class Review:
    """How a quota stands: what is foreseen, if a limit is known, and its newest request, if there was one.

    `is_new` when it was drafted by this very look.
    """

    quota: Quota
    forecast: Forecast | None
    request: Request | None
    is_new: bool = False


class QuotaKeeper:
    """Looks after quotas at the desks of their providers; what has no desk is kept by hand and drafted all the same."""

    def __init__(
        self,
        db: Database,
        desks: Mapping[str, Desk],
        *,
        counts: Callable[[UUID, Place], float | None] = lambda _tenant, _place: None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        """`counts` is how often a second we called who publishes a limit for it, for an account."""
        self._db = db
        self._desks = desks
        self._counts = counts
        self._now = now

    def review(self, tenant_id: UUID, quota_id: UUID) -> Review:
        """Read what the provider says; if the limit is nearer than its lead time, draft the request and tell #ops.

        A provider that does not answer is noted with the quota: what is known of it is foreseen all the same.
        """
        quota = self._read(tenant_id, book.quota(self._db, tenant_id, quota_id))
        now = self._now()
        forecast = book.foreseen(self._db, tenant_id, quota, now)
        newest = self._newest(tenant_id, quota_id)
        if forecast is None or not drafting.is_due(quota, forecast, now) or not book.may_draft(newest, now):
            return Review(quota, forecast, newest)
        drafted = self._draft(tenant_id, quota, forecast, now, tell=True)
        return Review(quota, forecast, drafted, is_new=newest is None or drafted.id != newest.id)

    def draft(self, tenant_id: UUID, quota_id: UUID) -> Request:
        """Draft the request now, due or not. Raises QuotaRequestError, UnknownQuotaError."""
        quota, now = book.quota(self._db, tenant_id, quota_id), self._now()
        forecast = book.foreseen(self._db, tenant_id, quota, now)
        if forecast is None:
            raise QuotaRequestError(
                "Its limit is not known yet.", next_step="Wait until the provider was asked, or set the limit by hand."
            )
        return self._draft(tenant_id, quota, forecast, now)

    def deliver(self, tenant_id: UUID, request_id: UUID) -> Request:
        """Bring what a person sent to the provider, once; what is there is asked after.

        A request that the provider has already is taken for this one, however it came there: the answer to the first
        try may have been lost.
        """
        request = book.request(self._db, tenant_id, request_id)
        quota = book.quota(self._db, tenant_id, request.quota_id)
        desk = self._desks.get(quota.place.provider)
        if request.state not in {State.ASKED, State.SENT} or desk is None or request.call is None:
            return request
        try:
            if request.state is State.SENT:
                placed = desk.follow(quota, request.provider_id)
            else:
                placed = desk.pending(quota.place, request.call) or self._sent(desk, quota, request.call)
        except DatabaseUnavailableError:
            raise
        except ProdSprintsError as error:
            refused = isinstance(error, ProviderRefusedError | QuotaInputError)
            return book.undelivered(self._db, tenant_id, request_id, str(error), again=not refused)
        return book.placed(self._db, tenant_id, request_id, placed, self._now())

    def _read(self, tenant_id: UUID, quota: Quota) -> Quota:
        now = self._now()
        if quota.source is Source.PUBLISHED and (counted := self._counts(tenant_id, quota.place)) is not None:
            return book.measure(self._db, tenant_id, quota.id, [Sample(now, counted)], now)
        desk = self._desks.get(quota.place.provider)
        if quota.source is not Source.PROVIDER or desk is None:
            return quota
        since = now - _AT_FIRST if quota.measured_at is None else max(quota.measured_at - _OVERLAP, now - _AT_FIRST)
        try:
            return book.read(self._db, tenant_id, quota.id, desk.read(quota.place, since, now), now)
        except DatabaseUnavailableError:
            raise
        except ProdSprintsError as error:
            book.trouble(self._db, tenant_id, quota.id, str(error))
            return book.quota(self._db, tenant_id, quota.id)

    def _draft(
        self, tenant_id: UUID, quota: Quota, forecast: Forecast, now: datetime, *, tell: bool = False
    ) -> Request:
        id, made = uuid4(), drafting.draft(quota, forecast, now)
        call = self._call(quota, made, id)
        told = _told(quota, forecast, made) if tell else None
        return book.draft(self._db, tenant_id, quota, made, call, id=id, now=now, told=told)

    def _call(self, quota: Quota, made: Draft, id: UUID) -> Call | None:
        """As the provider's API takes it; None where there is none, or it can know no such quota: one kept by hand."""
        desk = self._desks.get(quota.place.provider)
        if desk is None:
            return None
        try:
            desk.check(quota.place)
        except QuotaInputError:
            return None
        return desk.call(quota.place, made.desired, made.reason, id)

    def _newest(self, tenant_id: UUID, quota_id: UUID) -> Request | None:
        return next(iter(book.requests(self._db, tenant_id, quota_id, limit=1)), None)

    def _sent(self, desk: Desk, quota: Quota, call: Call) -> Placed:
        try:
            return desk.send(quota.place, call)
        except ProviderRefusedError:
            # it may be refused because it is there: another sender was faster than our look
            known = desk.pending(quota.place, call)
            if known is None:
                raise
            return known


def _told(quota: Quota, forecast: Forecast, made: Draft) -> Message:
    severity: Severity
    if forecast.outlook is Outlook.REACHED:
        severity, what = "critical", f"{quota.name}: the limit is reached"
    else:
        severity, what = "warning", f"{quota.name}: the limit is reached on {made.reaches:%Y-%m-%d}"
    body = f"{made.reason}\n\nThe request is drafted. To see and to send it: prodsprints quotas send {quota.place.code}"
    return Message.about("#ops", severity, what, body)
