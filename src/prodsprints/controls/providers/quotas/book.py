"""What is kept of quotas: limits, use over time, and requests; each tenant's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.controls.providers.quotas import model
from prodsprints.controls.providers.quotas.drafting import Draft
from prodsprints.controls.providers.quotas.errors import QuotaInputError, QuotaRequestError, UnknownQuotaError
from prodsprints.controls.providers.quotas.forecast import LEAST_DAYS, Forecast, Sample, forecast, natural
from prodsprints.controls.providers.quotas.model import (
    Call,
    Day,
    Kind,
    Place,
    Placed,
    Quota,
    Reading,
    Request,
    Source,
    State,
)
from prodsprints.kernel import clock
from prodsprints.ledger import people
from prodsprints.notify import outbox
from prodsprints.notify.message import Message
from prodsprints.store.database import Connection, Database, one, patient

KEPT_RAW = timedelta(days=14)
KEPT_DAYS = 400
EVERY_SECONDS = 300.0
"""How often a quota is looked at: what CloudWatch says of use is no newer."""

MOST_QUOTAS = 200
_AGAIN_SECONDS = 120.0  # longer than a guard lets sending take
_MOST_SAMPLES = 10_000
_CLOCKS_APART = timedelta(minutes=5)
_LONGEST_TROUBLE = 1_000
_QUIET = {State.DENIED: timedelta(days=7), State.DROPPED: timedelta(days=7), State.GRANTED: timedelta(days=1)}

_QUOTA = """
select id, provider, account, region, service, code, name, unit, kind, source, allowed, allowed_at, adjustable,
       lead_days, trouble, measured_at, created_at
from quotas
"""
_REQUEST = """
select id, quota_id, state, desired, allowed, reason, call, reaches, person, provider_id, provider_status, trouble,
       created_at, asked_at, sent_at, ended_at
from quota_requests
"""


@dataclass(frozen=True)
class Turn:
    """Whose turn it is: ids only."""

    tenant_id: UUID
    id: UUID


# --- quotas


@patient
def follow(
    db: Database,
    tenant_id: UUID,
    place: Place,
    *,
    id: UUID,
    source: Source,
    kind: Kind = Kind.RESOURCE,
    name: str = "",
    unit: str = "",
    limit: float | None = None,
    lead_days: int = model.LEAD_DAYS,
) -> Quota:
    """Keep book of a quota from now on; what is known of it already stays. A limit that is given counts from now.

    Raises QuotaInputError.
    """
    place.checked()
    name, unit = model.named(name, unit)
    model.leading(lead_days)
    if limit is None and source is not Source.PROVIDER:
        raise QuotaInputError(
            "A quota that no API is asked for needs its limit.", next_step="Give the limit, a number above 0."
        )
    with db.tenant(tenant_id) as connection:
        if one(connection.execute("select count(*) as n from quotas").fetchone())["n"] >= MOST_QUOTAS:
            raise QuotaInputError(
                f"{MOST_QUOTAS} quotas are followed, more than are looked after.", next_step="Forget some of them."
            )
        row = connection.execute(
            """
            insert into quotas as known
              (id, provider, account, region, service, code, name, unit, kind, source, lead_days)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (tenant_id, provider, account, region, service, code) do update
              set name = coalesce(nullif(excluded.name, ''), known.name),
                  unit = coalesce(nullif(excluded.unit, ''), known.unit),
                  kind = excluded.kind, source = excluded.source, lead_days = excluded.lead_days, next_at = now()
            returning id
            """,
            [id, *vars(place).values(), name or place.code, unit, kind, source, lead_days],
        ).fetchone()
        known: UUID = one(row)["id"]
        if limit is not None:
            _limit(connection, known, model.limited(limit), clock.now())
        return _one_quota(connection, known)


@patient
def quotas(db: Database, tenant_id: UUID, provider: str | None = None) -> list[Quota]:
    """Every quota that is followed, of one provider if it is named."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            _QUOTA
            + " where provider = coalesce(%s, provider) order by provider, account, region, service, code limit %s",
            [provider, MOST_QUOTAS],
        ).fetchall()
    return [_quota(row) for row in rows]


@patient
def quota(db: Database, tenant_id: UUID, id: UUID) -> Quota:
    """One of them. Raises UnknownQuotaError."""
    with db.tenant(tenant_id) as connection:
        return _one_quota(connection, id)


@patient
def forget(db: Database, tenant_id: UUID, id: UUID) -> None:
    """Follow it no longer, and forget its history and its requests. Raises UnknownQuotaError."""
    with db.tenant(tenant_id) as connection:
        if not connection.execute("delete from quotas where id = %s", [id]).rowcount:
            raise _no_quota(id)


@patient
def set_limit(db: Database, tenant_id: UUID, id: UUID, limit: float) -> Quota:
    """Set the limit by hand; a provider's API that says otherwise is believed again at its next answer.

    Raises QuotaInputError, UnknownQuotaError.
    """
    model.limited(limit)
    with db.tenant(tenant_id) as connection:
        _one_quota(connection, id)
        _limit(connection, id, limit, clock.now())
        return _one_quota(connection, id)


@patient
def read(db: Database, tenant_id: UUID, id: UUID, reading: Reading, now: datetime) -> Quota:
    """Keep what a provider said. Raises QuotaInputError for a limit that is none, UnknownQuotaError."""
    model.limited(reading.limit)
    with db.tenant(tenant_id) as connection:
        _one_quota(connection, id)
        connection.execute(
            "update quotas set name = %s, unit = %s, kind = %s, adjustable = %s, trouble = %s where id = %s",
            [*model.named(reading.name[:200], reading.unit[:40]), reading.kind, reading.adjustable, reading.note, id],
        )
        _limit(connection, id, reading.limit, now)
        _keep(connection, id, reading.samples, now)
        return _one_quota(connection, id)


@patient
def trouble(db: Database, tenant_id: UUID, id: UUID, why: str) -> None:
    """Why the provider did not say how it stands; what is known stays."""
    with db.tenant(tenant_id) as connection:
        connection.execute("update quotas set trouble = %s where id = %s", [why[:_LONGEST_TROUBLE], id])


# --- use


@patient
def measure(db: Database, tenant_id: UUID, id: UUID, samples: Sequence[Sample], now: datetime) -> Quota:
    """Keep how much was used when, in any order; a repeated moment counts once, with the most.

    Raises QuotaInputError, UnknownQuotaError.
    """
    if len(samples) > _MOST_SAMPLES:
        raise QuotaInputError(
            f"{len(samples):,} measurements are more than are taken at once.",
            next_step=f"Send them in parts of at most {_MOST_SAMPLES:,}.",
        )
    for sample in samples:
        natural(sample.used, "use")
        if sample.at > now + _CLOCKS_APART:
            raise QuotaInputError(
                f"{clock.iso(sample.at)} is yet to come.",
                why="Use is measured, not foretold.",
                next_step="Compare that machine's clock with the true time, and send it again.",
            )
        if sample.at < now - timedelta(days=KEPT_DAYS):
            raise QuotaInputError(
                f"{clock.iso(sample.at)} is too long ago.",
                next_step=f"Send what was measured in the last {KEPT_DAYS} days.",
            )
    with db.tenant(tenant_id) as connection:
        _one_quota(connection, id)
        _keep(connection, id, samples, now)
        return _one_quota(connection, id)


@patient
def days(db: Database, tenant_id: UUID, id: UUID) -> list[Day]:
    """The most of each day that is known, oldest first."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            "select day, used, allowed from quota_days where quota_id = %s order by day", [id]
        ).fetchall()
    return [Day(row["day"], row["used"], row["allowed"]) for row in rows]


@patient
def foreseen(db: Database, tenant_id: UUID, quota: Quota, now: datetime) -> Forecast | None:
    """What becomes of the limit; None while none is known."""
    if quota.limit is None:
        return None
    by_day = [day.sample for day in days(db, tenant_id, quota.id)]
    # by the day but for the newest; one that is young is looked at by the hour
    most = _MOST_SAMPLES if len(by_day) < LEAST_DAYS else 1
    with db.tenant(tenant_id) as connection:
        recent = connection.execute(
            "select at, used from quota_samples where quota_id = %s and at <= %s order by at desc limit %s",
            [quota.id, now, most],
        ).fetchall()
    return forecast([*by_day, *(Sample(row["at"], row["used"]) for row in recent)], quota.limit, now)


# --- requests


@patient
def draft(
    db: Database,
    tenant_id: UUID,
    quota: Quota,
    made: Draft,
    call: Call | None,
    *,
    id: UUID,
    now: datetime,
    told: Message | None = None,
) -> Request:
    """Keep the draft. One that waits is brought up to date; one that was sent stays as it is.

    `told` goes out with a new one, exactly if it is kept.
    """
    with db.tenant(tenant_id) as connection:
        body = None if call is None else Jsonb(call.as_json())
        values = [made.desired, quota.limit, made.reason, body, made.reaches]
        fresh = connection.execute(
            """
            insert into quota_requests (id, quota_id, desired, allowed, reason, call, reaches, created_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing
            """,
            [id, quota.id, *values, now],
        )
        if fresh.rowcount and told is not None:
            outbox.put(connection, told, requested_by="quotas")
        connection.execute(
            """
            update quota_requests set desired = %s, allowed = %s, reason = %s, call = %s, reaches = %s
            where quota_id = %s and state = 'drafted'
            """,
            [*values, quota.id],
        )
        found = _requests(connection, quota.id, limit=1)
    return found[0]


@patient
def requests(db: Database, tenant_id: UUID, quota_id: UUID, *, limit: int = 50) -> list[Request]:
    """The requests of a quota, newest first."""
    with db.tenant(tenant_id) as connection:
        return _requests(connection, quota_id, limit=limit)


@patient
def open_requests(db: Database, tenant_id: UUID) -> dict[UUID, Request]:
    """The open request of each quota that has one."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(_REQUEST + " where state in ('drafted', 'asked', 'sent')").fetchall()
    return {row["quota_id"]: _request(row) for row in rows}


@patient
def request(db: Database, tenant_id: UUID, id: UUID) -> Request:
    """One of them. Raises UnknownQuotaError."""
    with db.tenant(tenant_id) as connection:
        return _one_request(connection, id)


def may_draft(newest: Request | None, now: datetime) -> bool:
    """Whether the newest request lets another be drafted: not right after it was denied, dropped or granted."""
    if newest is None or newest.state.is_open or newest.ended_at is None:
        return True
    return now - newest.ended_at >= _QUIET[newest.state]


def ask(db: Database, tenant_id: UUID, id: UUID, *, desired: float, actor: str) -> Request:
    """A person sends a draft, having seen that it asks for `desired`: from here on the worker does.

    Raises UnknownQuotaError, QuotaRequestError.
    """
    person = people.reference(db, tenant_id, actor)
    with db.tenant(tenant_id) as connection:
        done = connection.execute(
            """
            update quota_requests set state = 'asked', person = %s, asked_at = now(), next_at = now(), trouble = ''
            where id = %s and state = 'drafted' and call is not null and desired = %s
            """,
            [person, id, desired],
        )
        found = _one_request(connection, id)
    if not done.rowcount:
        raise _not_sent(found, desired)
    return found


def drop(db: Database, tenant_id: UUID, id: UUID, *, actor: str) -> Request:
    """A person will not send a draft. Raises UnknownQuotaError, QuotaRequestError."""
    person = people.reference(db, tenant_id, actor)
    with db.tenant(tenant_id) as connection:
        done = connection.execute(
            """
            update quota_requests set state = 'dropped', person = %s, ended_at = now()
            where id = %s and state = 'drafted'
            """,
            [person, id],
        )
        found = _one_request(connection, id)
    if not done.rowcount:
        raise QuotaRequestError(
            f"The request cannot be dropped: it is {found.state} already.",
            next_step="Withdraw it with the provider if it has to be.",
        )
    return found


@patient
def placed(db: Database, tenant_id: UUID, id: UUID, at: Placed, now: datetime) -> Request:
    """Keep how the provider has it. What has ended stays ended."""
    ended = None if at.state is State.SENT else now
    with db.tenant(tenant_id) as connection:
        connection.execute(
            """
            update quota_requests set state = %s, provider_id = %s, provider_status = %s, trouble = '',
              sent_at = coalesce(sent_at, %s), ended_at = %s, next_at = %s + make_interval(secs => %s)
            where id = %s and state in ('asked', 'sent')
            """,
            [at.state, at.id[:300], at.status[:200], now, ended, now, EVERY_SECONDS, id],
        )
        return _one_request(connection, id)


@patient
def undelivered(db: Database, tenant_id: UUID, id: UUID, why: str, *, again: bool) -> Request:
    """Why it is not with the provider: it is tried `again`, or waits for a person as it did before."""
    with db.tenant(tenant_id) as connection:
        connection.execute(
            """
            update quota_requests set trouble = %s,
              state = case when state = 'asked' and not %s then 'drafted' else state end
            where id = %s and state in ('asked', 'sent')
            """,
            [why[:_LONGEST_TROUBLE], again, id],
        )
        return _one_request(connection, id)


# --- turns


def next_quota(db: Database) -> Turn | None:
    """A quota whose turn it is; its next one is later, so that no two workers have the same."""
    return _turn(
        db,
        """
        update quotas set next_at = now() + make_interval(secs => %s)
        where id = (select id from quotas where next_at <= now() order by next_at limit 1 for update skip locked)
        returning tenant_id, id
        """,
        EVERY_SECONDS,
    )


def next_request(db: Database) -> Turn | None:
    """A request that is to be sent, or asked after; one whose worker died meanwhile comes up again."""
    return _turn(
        db,
        """
        update quota_requests set next_at = now() + make_interval(secs => %s)
        where id = (select id from quota_requests where next_at <= now() and state in ('asked', 'sent')
                    order by next_at limit 1 for update skip locked)
        returning tenant_id, id
        """,
        _AGAIN_SECONDS,
    )


def _turn(db: Database, statement: Any, again_seconds: float) -> Turn | None:
    with db.dispatch() as connection:
        row = connection.execute(statement, [again_seconds]).fetchone()
    return None if row is None else Turn(**row)


def _limit(connection: Connection, id: UUID, limit: float, now: datetime) -> None:
    connection.execute(
        """
        update quotas set allowed = %s, allowed_at = %s where id = %s and (allowed_at is null or allowed_at <= %s)
        """,
        [limit, now, id, now],
    )
    # by whatever way it was raised, what was asked for is there
    connection.execute(
        """
        update quota_requests set state = 'granted', ended_at = %s
        where quota_id = %s and state in ('drafted', 'asked', 'sent') and desired <= %s
        """,
        [now, id, limit],
    )


def _keep(connection: Connection, id: UUID, samples: Iterable[Sample], now: datetime) -> None:
    known = {sample.at.replace(microsecond=0): 0.0 for sample in samples}
    of_day = {sample.at.astimezone(UTC).date(): 0.0 for sample in samples}
    for sample in samples:
        at, day = sample.at.replace(microsecond=0), sample.at.astimezone(UTC).date()
        known[at] = max(known[at], sample.used)
        of_day[day] = max(of_day[day], sample.used)
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into quota_samples as known (quota_id, at, used) values (%s, %s, %s)
            on conflict (quota_id, at) do update set used = greatest(known.used, excluded.used)
            """,
            [(id, at, used) for at, used in known.items() if at > now - KEPT_RAW],
        )
        cursor.executemany(
            """
            insert into quota_days as known (quota_id, day, used, allowed)
            values (%s, %s, %s, (select allowed from quotas where id = %s))
            on conflict (quota_id, day) do update
              set used = greatest(known.used, excluded.used), allowed = coalesce(excluded.allowed, known.allowed)
            """,
            [(id, day, used, id) for day, used in of_day.items()],
        )
    if known:
        connection.execute("update quotas set measured_at = greatest(measured_at, %s) where id = %s", [max(known), id])
    connection.execute("delete from quota_samples where quota_id = %s and at <= %s", [id, now - KEPT_RAW])
    connection.execute(
        "delete from quota_days where quota_id = %s and day < %s", [id, (now - timedelta(days=KEPT_DAYS)).date()]
    )


def _requests(connection: Connection, quota_id: UUID, *, limit: int) -> list[Request]:
    rows = connection.execute(
        # an open one first: it is the newest, whatever the clocks said
        _REQUEST + " where quota_id = %s order by (ended_at is null) desc, created_at desc, id limit %s",
        [quota_id, limit],
    ).fetchall()
    return [_request(row) for row in rows]


def _one_quota(connection: Connection, id: UUID) -> Quota:
    row = connection.execute(_QUOTA + " where id = %s", [id]).fetchone()
    if row is None:
        raise _no_quota(id)
    return _quota(row)


def _one_request(connection: Connection, id: UUID) -> Request:
    row = connection.execute(_REQUEST + " where id = %s", [id]).fetchone()
    if row is None:
        raise UnknownQuotaError(
            f"There is no quota request {id}.", next_step="`prodsprints quotas show` shows a quota's requests."
        )
    return _request(row)


def _quota(row: dict[str, Any]) -> Quota:
    return Quota(
        id=row["id"],
        place=Place(*(row[part] for part in ("provider", "account", "region", "service", "code"))),
        name=row["name"],
        unit=row["unit"],
        kind=Kind(row["kind"]),
        source=Source(row["source"]),
        limit=row["allowed"],
        limit_at=row["allowed_at"],
        adjustable=row["adjustable"],
        lead_days=row["lead_days"],
        trouble=row["trouble"],
        measured_at=row["measured_at"],
        created_at=row["created_at"],
    )


def _request(row: dict[str, Any]) -> Request:
    kept = {**row, "limit": row["allowed"], "state": State(row["state"])}
    kept["call"] = None if row["call"] is None else Call.from_json(row["call"])
    kept["person"] = None if row["person"] is None else str(row["person"])
    del kept["allowed"]
    return Request(**kept)


def _no_quota(id: UUID) -> UnknownQuotaError:
    return UnknownQuotaError(f"There is no quota {id}.", next_step="`prodsprints quotas list` shows those there are.")


def _not_sent(found: Request, desired: float) -> QuotaRequestError:
    if found.state is not State.DRAFTED:
        return QuotaRequestError(
            f"The request is {found.state} already; it is never sent twice.",
            next_step="`prodsprints quotas show` says what became of it.",
        )
    if found.call is None:
        return QuotaRequestError(
            "This provider has no API that raises a limit.",
            next_step="Send the draft's words to the provider, and set the new limit once it is there.",
        )
    return QuotaRequestError(
        f"The draft asks for {found.desired:g} by now, not for {desired:g}.",
        why="The forecast moved on since it was looked at.",
        next_step="Look at it again, and send it if you mean that.",
    )
