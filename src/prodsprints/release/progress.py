"""What a release has shown so far, for whoever watches or resumes it: its steps, its live log, its canary's ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from prodsprints.controls.integrations import degradation
from prodsprints.release.verdict import Tick
from prodsprints.store.database import Database, patient

StepStatus = Literal["running", "done", "skipped", "refused", "failed"]


@dataclass(frozen=True)
class Step:
    """One named, timed step of a release. `attempt` counts how often it was begun; more than one after a kill."""

    name: str
    position: int
    attempt: int
    status: StepStatus
    summary: str
    detail: dict[str, Any]
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Degraded:
    """A service that a step went on without, as declared; `mirror_age_seconds` where a mirror stood in for it."""

    step: str
    integration: str
    said: str
    mirror_age_seconds: float | None = None

    @property
    def title(self) -> str:
        """What people call that service."""
        return degradation.of(self.integration).title


@dataclass(frozen=True)
class Event:
    """One line of a release's live log; `seq` grows by one within the release, so that a reader can resume."""

    seq: int
    at: datetime
    step: str
    kind: str
    message: str
    data: dict[str, Any]


@patient
def steps(db: Database, tenant_id: UUID, release_id: UUID) -> list[Step]:
    """The steps begun so far, in order."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            """
            select name, position, attempt, status, summary, detail, started_at, finished_at
            from release_steps where release_id = %s order by position
            """,
            [release_id],
        ).fetchall()
    return [Step(**row) for row in rows]


def degradations(steps: Sequence[Step]) -> list[Degraded]:
    """All that a release went on without, in the order of its steps."""
    return [Degraded(step=step.name, **one) for step in steps for one in step.detail.get("degradations", ())]


@patient
def events(db: Database, tenant_id: UUID, release_id: UUID, *, after: int = 0, limit: int = 500) -> list[Event]:
    """The live log after `seq` = `after`."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            """
            select seq, at, step, kind, message, data from release_events
            where release_id = %s and seq > %s order by seq limit %s
            """,
            [release_id, after, limit],
        ).fetchall()
    return [Event(**row) for row in rows]


@patient
def last_event(db: Database, tenant_id: UUID, release_id: UUID, kind: str) -> Event | None:
    """The newest line of one kind in the live log, or None."""
    with db.tenant(tenant_id) as connection:
        row = connection.execute(
            """
            select seq, at, step, kind, message, data from release_events
            where release_id = %s and kind = %s order by seq desc limit 1
            """,
            [release_id, kind],
        ).fetchone()
    return None if row is None else Event(**row)


@patient
def ticks(db: Database, tenant_id: UUID, release_id: UUID) -> list[Tick]:
    """The canary's evidence so far, oldest first."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            """
            select at, weight, stable_requests, stable_errors, canary_requests, canary_errors
            from release_ticks where release_id = %s order by tick
            """,
            [release_id],
        ).fetchall()
    return [Tick(**row) for row in rows]


@patient
def add_tick(
    db: Database, tenant_id: UUID, release_id: UUID, number: int, tick: Tick, *, fencing_token: int | None
) -> None:
    """Keep one tick; a repeated call with the same number changes nothing, and neither does an overtaken worker."""
    with db.tenant(tenant_id) as connection:
        connection.execute(
            """
            insert into release_ticks
              (release_id, tick, at, weight, stable_requests, stable_errors, canary_requests, canary_errors)
            select id, %s, %s, %s, %s, %s, %s, %s from releases
            where id = %s and fencing_token is not distinct from %s on conflict do nothing
            """,
            [
                number,
                tick.at,
                tick.weight,
                tick.stable_requests,
                tick.stable_errors,
                tick.canary_requests,
                tick.canary_errors,
                release_id,
                fencing_token,
            ],
        )
