"""What anybody may read of a tenant's services: those marked public, their history, outages, and published incidents.

This is the one place that reads for people without a login: it asks for nothing that is not meant for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from prodsprints.controls.integrations import pace, uptime
from prodsprints.controls.integrations.health import Level, Standing, shown, worst
from prodsprints.controls.integrations.uptime import SHOWN_DAYS, Day, Uptime
from prodsprints.incidents import publishing
from prodsprints.incidents.publishing import Published
from prodsprints.kernel.clock import iso
from prodsprints.store.database import Connection, Database, one, patient

_MOST_OUTAGES = 50


@dataclass(frozen=True)
class PublicService:
    """A service as everybody sees it: `level` is unknown once nobody has looked for too long, since `seen_at`."""

    id: UUID
    name: str
    level: Level
    since: datetime | None
    seen_at: datetime | None
    interval_seconds: float
    days: tuple[Day, ...]

    @property
    def uptime(self) -> Uptime:
        """Over all its days."""
        return uptime.uptime(self.days)


@dataclass(frozen=True)
class Outage:
    """A time in which a service was not as it should be; still going on without an end.

    Where the end is not known, it lasted until `ended_at` at least: then nobody looked any more.
    """

    id: UUID
    service: str
    level: Level
    began_at: datetime
    ended_at: datetime | None
    end_is_known: bool
    detected_by: str
    words: str
    updated_at: datetime


@dataclass(frozen=True)
class StatusPage:
    """All of it, as of `at`."""

    at: datetime
    services: tuple[PublicService, ...]
    outages: tuple[Outage, ...]
    incidents: tuple[Published, ...]

    @property
    def level(self) -> Level:
        """The worst of what is known."""
        return worst(*(service.level for service in self.services))

    @property
    def unmeasured(self) -> int:
        """How many services nobody has looked at for too long."""
        return sum(service.level is Level.UNKNOWN for service in self.services)

    @property
    def changed_at(self) -> datetime | None:
        """When something last began, ended or was told."""
        moments = [outage.updated_at for outage in self.outages]
        moments += [incident.updates[0].at for incident in self.incidents]
        return max(moments, default=None)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "level": self.level.value,
            "at": iso(self.at),
            "unmeasured": self.unmeasured,
            "services": [_service_json(service) for service in self.services],
            "outages": [_outage_json(outage) for outage in self.outages],
            "incidents": [_incident_json(incident) for incident in self.incidents],
        }


@patient
def read(db: Database, tenant_id: UUID) -> StatusPage:
    """The page of one tenant, as its database tells the time."""
    with db.tenant(tenant_id) as connection:
        now = one(connection.execute("select clock_timestamp() as now").fetchone())["now"]
        first = now.astimezone(UTC).date() - timedelta(days=SHOWN_DAYS - 1)
        services = _services(connection, now, first)
        outages = _outages(connection, datetime.combine(first, time(), UTC), now)
    incidents = publishing.published(db, tenant_id, since=datetime.combine(first, time(), UTC))
    return StatusPage(now, services, outages, tuple(incidents))


def _services(connection: Connection, now: datetime, first: date) -> tuple[PublicService, ...]:
    rows = connection.execute(
        """
        select id, name, level, level_since, seen_at, interval_seconds from watched_services
        where is_public order by array_position(array['declared', 'integration', 'platform'], kind), key
        """
    ).fetchall()
    days = connection.execute(
        """
        select service_id, day, up_seconds, degraded_seconds, down_seconds from service_days
        where day >= %s and service_id = any (%s)
        """,
        [first, [row["id"] for row in rows]],
    ).fetchall()
    known: dict[UUID, dict[date, tuple[float, float, float]]] = {}
    for day in days:
        known.setdefault(day["service_id"], {})[day["day"]] = (
            *(day["up_seconds"], day["degraded_seconds"], day["down_seconds"]),
        )
    return tuple(_service(row, known.get(row["id"], {}), now) for row in rows)


def _service(row: Mapping[str, Any], known: Mapping[date, tuple[float, float, float]], now: datetime) -> PublicService:
    standing = Standing(Level(row["level"]), row["level_since"], seen_at=row["seen_at"])
    level = shown(standing, now, longest_gap_seconds=pace.longest_gap_seconds(row["interval_seconds"]))
    since = row["level_since"] if level is standing.level else row["seen_at"]
    return PublicService(
        row["id"],
        row["name"],
        level,
        since if row["seen_at"] else None,
        row["seen_at"],
        row["interval_seconds"],
        uptime.days(known, now),
    )


def _outages(connection: Connection, since: datetime, now: datetime) -> tuple[Outage, ...]:
    rows = connection.execute(
        """
        select o.id, s.name as service, o.level, o.began_at, o.ended_at, o.end_is_known, o.detected_by, o.words,
               o.updated_at, s.level as service_level, s.seen_at, s.interval_seconds
        from service_outages o join watched_services s on s.id = o.service_id
        where s.is_public and (o.ended_at is null or o.ended_at >= %s)
        order by o.ended_at is null desc, o.began_at desc, o.id limit %s
        """,
        [since, _MOST_OUTAGES],
    ).fetchall()
    return tuple(_outage(row, now) for row in rows)


def _outage(row: dict[str, Any], now: datetime) -> Outage:
    """One that nobody has looked at for too long is not said to go on: it was last seen when somebody looked."""
    standing = Standing(Level(row.pop("service_level")), seen_at=row.pop("seen_at"))
    gap = pace.longest_gap_seconds(row.pop("interval_seconds"))
    if row["ended_at"] is None and shown(standing, now, longest_gap_seconds=gap) is Level.UNKNOWN:
        last = max(row["began_at"], standing.seen_at or row["began_at"])
        row |= {"ended_at": last, "end_is_known": False}
    return Outage(**{**row, "level": Level(row["level"])})


def _service_json(service: PublicService) -> dict[str, Any]:
    figures = service.uptime
    return {
        "name": service.name,
        "level": service.level.value,
        "since": _moment(service.since),
        "seen_at": _moment(service.seen_at),
        "interval_seconds": service.interval_seconds,
        "available_percent": figures.available_percent,
        "measured_percent": figures.measured_percent,
        "days": [
            {
                "day": day.day.isoformat(),
                "up_seconds": round(day.up_seconds, 3),
                "degraded_seconds": round(day.degraded_seconds, 3),
                "down_seconds": round(day.down_seconds, 3),
                "unmeasured_seconds": round(day.unmeasured_seconds, 3),
            }
            for day in service.days
        ],
    }


def _outage_json(outage: Outage) -> dict[str, Any]:
    return {
        "id": str(outage.id),
        "service": outage.service,
        "level": outage.level.value,
        "began_at": iso(outage.began_at),
        "ended_at": _moment(outage.ended_at),
        "end_is_known": outage.end_is_known,
        "detected_by": outage.detected_by,
        "words": outage.words,
    }


def _incident_json(incident: Published) -> dict[str, Any]:
    return {
        "title": incident.title,
        "stage": incident.stage,
        "published_at": iso(incident.published_at),
        "updates": [
            {"id": str(update.id), "stage": update.stage, "words": update.words, "at": iso(update.at)}
            for update in incident.updates
        ],
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
