"""What the looks at services came to, written down: levels, measured time by the day, and outages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from prodsprints.controls.integrations import pace, services
from prodsprints.controls.integrations.health import Folded, Level, Observation, Span, Standing, fold
from prodsprints.controls.integrations.services import Service
from prodsprints.store.database import Connection, Database
from prodsprints.store.errors import FencedError
from prodsprints.store.leases import Lease

KEPT_DAYS = 100
"""More than the 90 that are shown: a day is dropped whole."""

_LOOKS_KEPT = timedelta(days=1)
_DETECTED_BY = {"platform": "platform", "integration": "guard", "declared": "probe"}


def record(
    db: Database, tenant_id: UUID, lease: Lease, seen: Sequence[tuple[UUID, Observation]]
) -> dict[UUID, Standing]:
    """Write down what was seen, in the order in which it was; how the services stand then. Raises FencedError.

    A service that is watched no longer is left out. All or nothing, so that trying again counts nothing twice.
    """
    with db.tenant(tenant_id) as connection:
        _refuse_late(connection, lease)
        known = {service.id: service for service in services.read(connection, [id for id, _ in seen])}
        standings = {id: service.standing for id, service in known.items()}
        for id, observation in seen:
            if id in known:
                folded = fold(
                    standings[id],
                    observation,
                    longest_gap_seconds=pace.longest_gap_seconds(known[id].interval_seconds),
                )
                _write(connection, known[id], standings[id], observation, folded)
                standings[id] = folded.standing
    return standings


def forget(db: Database, tenant_id: UUID, now: datetime) -> None:
    """Drop the looks of more than a day ago, and the days and outages that nobody is shown any more."""
    first = now.date() - timedelta(days=KEPT_DAYS)
    with db.tenant(tenant_id) as connection:
        connection.execute("delete from service_looks where at < %s", [now - _LOOKS_KEPT])
        connection.execute("delete from service_days where day < %s", [first])
        connection.execute("delete from service_outages where ended_at < %s", [datetime.combine(first, time(), UTC)])


def by_day(span: Span) -> Iterator[tuple[date, float]]:
    """How many seconds of the span lie in each day (UTC)."""
    start, end = span.start.astimezone(UTC), span.end.astimezone(UTC)
    while start < end:
        midnight = datetime.combine(start.date() + timedelta(days=1), time(), UTC)
        until = min(end, midnight)
        yield start.date(), (until - start).total_seconds()
        start = until


def _refuse_late(connection: Connection, lease: Lease) -> None:
    row = connection.execute(
        "select holds_lease(%s, %s, %s) as ours", [lease.resource, lease.owner, lease.fencing_token]
    ).fetchone()
    if row is None or not row["ours"]:
        raise FencedError("Another worker watches these services by now.", next_step="Nothing: that worker carries on.")


def _write(
    connection: Connection, service: Service, before: Standing, observation: Observation, folded: Folded
) -> None:
    after = folded.standing
    trouble = after.trouble
    connection.execute(
        """
        update watched_services set level = %s, level_since = %s, recent = %s, seen_at = %s, seen_seconds = %s,
          seen_words = %s, trouble_began_at = %s, trouble_level = %s, trouble_words = %s where id = %s
        """,
        [
            *(after.level, after.since, list(after.recent), after.seen_at, observation.seconds, observation.words),
            *((trouble.began_at, trouble.level, trouble.words) if trouble else (None, None, "")),
            service.id,
        ],
    )
    connection.execute(
        """
        insert into service_looks (service_id, at, outcome, seconds) values (%s, %s, %s, %s)
        on conflict (service_id, at) do nothing
        """,
        [service.id, after.seen_at, observation.outcome, max(0.0, observation.seconds)],
    )
    _add(connection, service.id, [folded.span] if folded.span else [])
    if folded.ended is not None:
        connection.execute(
            """
            update service_outages set ended_at = %s, end_is_known = %s, updated_at = clock_timestamp()
            where service_id = %s and ended_at is null
            """,
            [folded.ended.at, folded.ended.is_known, service.id],
        )
    if trouble is None:
        return
    if folded.ended is not None or before.trouble is None:
        connection.execute(
            "insert into service_outages (service_id, level, began_at, detected_by, words) values (%s, %s, %s, %s, %s)",
            [service.id, trouble.level, trouble.began_at, _DETECTED_BY[service.kind], trouble.words],
        )
    elif trouble != before.trouble:
        connection.execute(
            """
            update service_outages set level = %s, words = %s, updated_at = clock_timestamp()
            where service_id = %s and ended_at is null
            """,
            [trouble.level, trouble.words, service.id],
        )


def _add(connection: Connection, service_id: UUID, spans: Iterable[Span]) -> None:
    for span in spans:
        for day, seconds in by_day(span):
            counted = [seconds if span.level is level else 0.0 for level in (Level.UP, Level.DEGRADED, Level.DOWN)]
            connection.execute(
                """
                insert into service_days as known (service_id, day, up_seconds, degraded_seconds, down_seconds)
                values (%s, %s, %s, %s, %s) on conflict (service_id, day) do update set
                  up_seconds = known.up_seconds + excluded.up_seconds,
                  degraded_seconds = known.degraded_seconds + excluded.degraded_seconds,
                  down_seconds = known.down_seconds + excluded.down_seconds
                """,
                [service_id, day, *counted],
            )
