"""Risks that somebody reports: from the first word to being watched, each stage with a clock and a named person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prodsprints.incidents import typed
from prodsprints.kernel.clock import iso
from prodsprints.kernel.validation import nearest
from prodsprints.ledger import people
from prodsprints.register.errors import StageError, UnknownReportError
from prodsprints.store.database import Connection, Database, patient

STAGES = {
    "identify": "anybody reports a risk",
    "assess": "the platform team judges how bad it would be, and how likely",
    "plan": "mitigations are chosen and put in order",
    "implement": "the plan is carried out",
    "monitor": "the risk stands in the document, and is reviewed with it",
}
CLOCKS = {
    "assess": timedelta(days=2),
    "plan": timedelta(days=7),
    "implement": timedelta(days=30),
    "monitor": timedelta(days=7),
}
"""How long each stage may take once the one before it is done."""

_LONGEST_TELLING = 4_000
_LONGEST_NOTE = 2_000
_LISTED = 500


@dataclass(frozen=True)
class Step:
    """A stage that is done: by whom, when, and what there is to say."""

    stage: str
    person: str
    note: str
    created_at: datetime


@dataclass(frozen=True)
class Report:
    """A reported risk, and how far it has come."""

    id: UUID
    title: str
    description: str
    created_at: datetime
    steps: tuple[Step, ...]

    @property
    def stage(self) -> str:
        """The stage that is waited for; `done` after the last."""
        stages = list(STAGES)
        return stages[len(self.steps)] if len(self.steps) < len(stages) else "done"

    @property
    def is_open(self) -> bool:
        """Is a stage still waited for?"""
        return self.stage != "done"

    @property
    def due_at(self) -> datetime | None:
        """When the stage that is waited for should be done."""
        return self.steps[-1].created_at + CLOCKS[self.stage] if self.is_open else None

    def is_overdue(self, at: datetime) -> bool:
        """Has its clock run out?"""
        return self.due_at is not None and self.due_at < at

    def escalates_to(self, at: datetime) -> str | None:
        """Who has to know: the platform lead when the clock has run out, the executive team one more clock later."""
        if self.due_at is None or self.due_at >= at:
            return None
        return "executive" if at - self.due_at > CLOCKS[self.stage] else "platform"

    def waits(self, at: datetime) -> str:
        """How its clock stands, for people."""
        if self.due_at is None:
            return "done"
        return f"{'overdue since' if self.is_overdue(at) else 'due on'} {self.due_at:%Y-%m-%d}"

    def as_json(self, names: Mapping[str, str], at: datetime) -> dict[str, Any]:
        """For programs; `names` are those of the people that are still known."""
        return {
            "id": str(self.id),
            "title": self.title,
            "description": self.description,
            "stage": self.stage,
            "due_at": self.due_at and iso(self.due_at),
            "is_overdue": self.is_overdue(at),
            "escalates_to": self.escalates_to(at),
            "steps": [
                {"stage": step.stage, "person": names.get(step.person), "note": step.note, "at": iso(step.created_at)}
                for step in self.steps
            ],
        }


def report(db: Database, tenant_id: UUID, *, id: UUID, title: str, description: str, actor: str) -> Report:
    """Report a risk that is not in the register, or not seen there for what it is. Raises UsageError."""
    said = typed.line(title, "title"), typed.paragraphs(description, "description", _LONGEST_TELLING)
    person = people.reference(db, tenant_id, actor)
    with db.tenant(tenant_id) as connection:
        connection.execute("insert into risk_reports (id, title, description) values (%s, %s, %s)", [id, *said])
        _add_step(connection, id, 0, "identify", person, "reported")
    return get(db, tenant_id, id)


def advance(db: Database, tenant_id: UUID, report_id: UUID, *, stage: str, note: str, actor: str) -> Report:
    """Say that the next stage of a report is done: `assess`, `plan`, `implement`, `monitor`, one after the other.

    Raises UnknownReportError, StageError for any other stage than the next, UsageError.
    """
    words = typed.paragraphs(note, "note", _LONGEST_NOTE)
    person = people.reference(db, tenant_id, actor)
    with db.tenant(tenant_id) as connection:
        connection.execute("select from risk_reports where id = %s for update", [report_id])
        found = _reports(connection, report_id)
        if not found:
            raise _unknown(report_id)
        if stage != found[0].stage:
            hint = "" if stage in STAGES else nearest(stage, STAGES)
            raise StageError(
                f"The report {found[0].title!r} does not wait for {stage[:40]!r}{hint or '.'}",
                why="It is done." if not found[0].is_open else f"What it waits for is `{found[0].stage}`.",
                next_step="Take its stages one after the other.",
            )
        _add_step(connection, report_id, len(found[0].steps), stage, person, words)
    return get(db, tenant_id, report_id)


@patient
def get(db: Database, tenant_id: UUID, report_id: UUID) -> Report:
    """One report. Raises UnknownReportError."""
    with db.tenant(tenant_id) as connection:
        found = _reports(connection, report_id)
    if not found:
        raise _unknown(report_id)
    return found[0]


@patient
def reports(db: Database, tenant_id: UUID) -> list[Report]:
    """The newest reports first."""
    with db.tenant(tenant_id) as connection:
        return _reports(connection)


def overdue(reports: Iterable[Report], at: datetime) -> list[Report]:
    """Those whose clock has run out, the longest waiting first."""
    late = [(one.due_at, one) for one in reports if one.due_at is not None and one.due_at < at]
    return [one for _, one in sorted(late, key=lambda pair: pair[0])]


def _reports(connection: Connection, id: UUID | None = None) -> list[Report]:
    rows = connection.execute(
        """
        select id, title, description, created_at from risk_reports
        where %(id)s::uuid is null or id = %(id)s order by created_at desc limit %(limit)s
        """,
        {"id": id, "limit": _LISTED},
    ).fetchall()
    steps: dict[UUID, list[Step]] = {row["id"]: [] for row in rows}
    for step in connection.execute(
        """
        select report_id, stage, person::text as person, note, created_at from risk_report_steps
        where report_id = any(%s) order by report_id, position
        """,
        [list(steps)],
    ).fetchall():
        steps[step.pop("report_id")].append(Step(**step))
    return [Report(**row, steps=tuple(steps[row["id"]])) for row in rows]


def _add_step(connection: Connection, report_id: UUID, position: int, stage: str, person: str, note: str) -> None:
    connection.execute(
        "insert into risk_report_steps (report_id, position, stage, person, note) values (%s, %s, %s, %s, %s)",
        [report_id, position, stage, person, note],
    )


def _unknown(report_id: UUID) -> UnknownReportError:
    return UnknownReportError(f"There is no report {report_id}.", next_step="The page `Reports` lists those there are.")
