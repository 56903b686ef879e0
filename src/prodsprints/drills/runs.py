"""What is kept of runs: who asked for which, what was seen, how each ended, and its journals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.drills.engine import Event
from prodsprints.drills.errors import JournalTamperedError
from prodsprints.drills.journal import Journal
from prodsprints.drills.schedule import Slot
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.redaction import Redactor
from prodsprints.notify import outbox
from prodsprints.notify.message import Message
from prodsprints.store.database import Connection, Database, one, patient

Status = Literal["queued", "running", "ended"]
Position = tuple[datetime, UUID]

_MOST_EVENTS = 5_000
_redactor = Redactor()


@dataclass(frozen=True)
class DrillRun:
    """One run of one drill: asked for by a person or by the schedule, and what came of it."""

    id: UUID
    row: str
    variant: str
    environment: str
    requested_by: str
    scheduled: bool
    status: Status
    outcome: Outcome | None
    reason: str
    node: str | None
    worker: str | None
    digest: str | None
    evidence_index: int | None
    treatment_journal: str | None
    placebo_journal: str | None
    measured: dict[str, float]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def position(self) -> Position:
        """Where it stands in a listing."""
        return self.created_at, self.id


@dataclass(frozen=True)
class RunEvent:
    """One event of a run, as the engine told it; `seq` grows by one, so that a reader can resume."""

    seq: int
    arm: str
    at: float
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A run that this worker may play: ids only."""

    tenant_id: UUID
    id: UUID


_RUN = """
select id, row_id as row, variant, environment, requested_by, scheduled, status, outcome, reason, node, worker, digest,
       evidence_index, treatment_journal, placebo_journal, measured, created_at, started_at, finished_at
from drill_runs
"""


@patient
def request_run(
    db: Database,
    tenant_id: UUID,
    *,
    row: str,
    variant: str,
    environment: str,
    actor: str,
    id: UUID,
    scheduled: bool = False,
) -> DrillRun:
    """Queue a run under an id that the caller chose, so that a repeated call adds nothing."""
    with db.tenant(tenant_id) as connection:
        connection.execute(
            """
            insert into drill_runs (id, row_id, variant, environment, requested_by, scheduled)
            values (%s, %s, %s, %s, %s, %s) on conflict (id) do nothing
            """,
            [id, row, variant, environment, actor, scheduled],
        )
        found = connection.execute(_RUN + "where id = %s", [id]).fetchone()
    return _run(one(found))


@patient
def run(db: Database, tenant_id: UUID, id: UUID) -> DrillRun | None:
    """One run by id, or None if this tenant has none such."""
    with db.tenant(tenant_id) as connection:
        found = connection.execute(_RUN + "where id = %s", [id]).fetchone()
    return None if found is None else _run(found)


@patient
def runs(
    db: Database,
    tenant_id: UUID,
    *,
    row: str | None = None,
    environment: str | None = None,
    before: Position | None = None,
    limit: int = 50,
) -> list[DrillRun]:
    """The newest runs first; `before` continues a listing after the run at that position."""
    moment, id = before or (None, None)
    with db.tenant(tenant_id) as connection:
        found = connection.execute(
            _RUN
            + """
            where (%(row)s::text is null or row_id = %(row)s)
              and (%(environment)s::text is null or environment = %(environment)s)
              and (%(moment)s::timestamptz is null or (created_at, id) < (%(moment)s, %(id)s))
            order by created_at desc, id desc limit %(limit)s
            """,
            {"row": row, "environment": environment, "moment": moment, "id": id, "limit": limit},
        ).fetchall()
    return [_run(each) for each in found]


@patient
def last_runs(db: Database, tenant_id: UUID, environment: str) -> dict[tuple[str, str], DrillRun]:
    """The newest run of each row and variant, whatever became of it."""
    with db.tenant(tenant_id) as connection:
        found = connection.execute(
            _RUN.replace("select ", "select distinct on (row_id, variant) ", 1)
            + "where environment = %s order by row_id, variant, created_at desc",
            [environment],
        ).fetchall()
    return {(each["row"], each["variant"]): _run(each) for each in found}


@patient
def drilled(db: Database) -> list[Slot]:
    """Every drill that a person asked for once, and where; across tenants, for the schedule."""
    with db.dispatch() as connection:
        found = connection.execute(
            """
            select distinct tenant_id, row_id, variant, environment from drill_runs
            where not scheduled order by tenant_id, row_id, variant, environment
            """
        ).fetchall()
    return [Slot(each["tenant_id"], each["row_id"], each["variant"], each["environment"]) for each in found]


@patient
def events(db: Database, tenant_id: UUID, id: UUID, *, after: int = 0, limit: int = 500) -> list[RunEvent]:
    """What was seen after the event `after`."""
    with db.tenant(tenant_id) as connection:
        found = connection.execute(
            "select seq, arm, at, kind, data from drill_events where run_id = %s and seq > %s order by seq limit %s",
            [id, after, limit],
        ).fetchall()
    return [RunEvent(**each) for each in found]


@patient
def journal(db: Database, tenant_id: UUID, sha256: str) -> Journal | None:
    """The journal with that hash, or None if this tenant has none such. Raises JournalTamperedError."""
    with db.tenant(tenant_id) as connection:
        found = connection.execute("select content from drill_journals where sha256 = %s", [sha256]).fetchone()
    if found is None:
        return None
    journal = Journal(bytes(found["content"]))
    if journal.sha256 != sha256:
        raise JournalTamperedError(
            f"The journal {sha256[:12]} is not what its drill wrote: its hash is another one.",
            next_step="Do not rely on it; restore the table `drill_journals` from a backup, or drill the row again.",
        )
    return journal


@patient
def add_events(db: Database, tenant_id: UUID, id: UUID, first: int, events: Sequence[Event]) -> None:
    """Keep `events`, numbered from `first` on; repeating changes nothing. Past a bound they are not kept any more."""
    with db.tenant(tenant_id) as connection, connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into drill_events (run_id, seq, arm, at, kind, data) values (%s, %s, %s, %s, %s, %s)
            on conflict do nothing
            """,
            [
                (id, seq, event.arm, event.at, event.kind, Jsonb(_redactor.value(dict(event.data))))
                for seq, event in enumerate(events, first)
                if seq <= _MOST_EVENTS
            ],
        )


@patient
def newest_placebo(db: Database, tenant_id: UUID, *, row: str, variant: str, digest: str) -> DrillRun | None:
    """The newest run of the same digest in a scratch environment that held: its placebo arm can be linked."""
    with db.tenant(tenant_id) as connection:
        found = connection.execute(
            _RUN
            + """
            where row_id = %s and variant = %s and digest = %s and environment = 'demo' and outcome = 'held'
              and placebo_journal is not null and evidence_index is not null
            order by finished_at desc limit 1
            """,
            [row, variant, digest],
        ).fetchone()
    return None if found is None else _run(found)


@patient
def finish(
    db: Database,
    tenant_id: UUID,
    id: UUID,
    *,
    worker: str,
    outcome: Outcome,
    reason: str,
    digest: str | None = None,
    evidence_index: int | None = None,
    treatment_journal: Journal | None = None,
    placebo_journal: Journal | str | None = None,
    measured: Mapping[str, float] | None = None,
) -> bool:
    """Record how a run of `worker` ended; False, and nothing is changed, if it is not its run any more.

    One that breaks what the run before it showed to hold is told to #ops, in the same transaction.
    """
    journals = [each for each in (treatment_journal, placebo_journal) if isinstance(each, Journal)]
    with db.tenant(tenant_id) as connection:
        for each in journals:
            connection.execute(
                "insert into drill_journals (sha256, content) values (%s, %s) on conflict do nothing",
                [each.sha256, each.content],
            )
        done = connection.execute(
            """
            update drill_runs set status = 'ended', outcome = %s, reason = %s, digest = %s, evidence_index = %s,
              treatment_journal = %s, placebo_journal = %s, measured = %s, finished_at = now()
            where id = %s and status = 'running' and worker = %s
            """,
            [
                outcome,
                _redactor.text(reason)[:2_000],
                digest,
                evidence_index,
                treatment_journal.sha256 if treatment_journal else None,
                placebo_journal.sha256 if isinstance(placebo_journal, Journal) else placebo_journal,
                Jsonb(dict(measured or {})),
                id,
                worker,
            ],
        )
        if done.rowcount and outcome in _BADLY:
            _tell(connection, id, outcome)
    return done.rowcount == 1


_BADLY = {Outcome.FAILED: "is failing", Outcome.INVALID: "is invalid"}


def _tell(connection: Connection, id: UUID, outcome: Outcome) -> None:
    run = _run(one(connection.execute(_RUN + "where id = %s", [id]).fetchone()))
    before = connection.execute(
        """
        select outcome from drill_runs
        where row_id = %s and variant = %s and environment = %s and id <> %s and outcome <> 'none'
        order by finished_at desc limit 1
        """,
        [run.row, run.variant, run.environment, id],
    ).fetchone()
    if before is None or before["outcome"] != outcome:
        subject = f"{run.row} {_BADLY[outcome]} in {run.environment}"
        body = f"The drill {run.variant}: {run.reason}\n\nRun {run.id}, asked for by {run.requested_by}."
        outbox.put(connection, Message.about("#ops", "critical", subject, body), requested_by="drill")


@patient
def claim(db: Database, *, worker: str, node: str) -> Claim | None:
    """Take the oldest waiting run; None when nothing waits, or when a drill runs on this node: they come one by one."""
    with db.dispatch() as connection:
        # Two workers of one node must not both see it free; the lock ends with the transaction.
        connection.execute("select pg_advisory_xact_lock(hashtext('prodsprints drills ' || %s))", [node])
        found = connection.execute(
            """
            select tenant_id, id from drill_runs
            where status = 'queued'
              and not exists (select from drill_runs other where other.status = 'running' and other.node = %s)
            order by created_at limit 1 for update skip locked
            """,
            [node],
        ).fetchone()
        if found is None:
            return None
        connection.execute(
            "update drill_runs set status = 'running', worker = %s, node = %s, started_at = now() where id = %s",
            [worker, node, found["id"]],
        )
    return Claim(found["tenant_id"], found["id"])


@patient
def orphans(db: Database, *, idle: str) -> list[tuple[Claim, str]]:
    """The running runs of dead workers, and those of the worker `idle`, who runs none; each with its worker."""
    with db.dispatch() as connection:
        found = connection.execute(
            """
            select tenant_id, id, worker from drill_runs
            where status = 'running'
              and (worker = %s
                   or not exists (select from workers w where w.id = drill_runs.worker and w.reaped_at is null))
            """,
            [idle],
        ).fetchall()
    return [(Claim(each["tenant_id"], each["id"]), each["worker"]) for each in found]


def _run(found: dict[str, Any]) -> DrillRun:
    outcome = found["outcome"]
    return DrillRun(**{**found, "outcome": None if outcome is None else Outcome(outcome)})
