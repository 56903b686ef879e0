"""Reviews: when each is due, what is on its agenda, and what was decided in it."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.incidents import typed
from prodsprints.kernel.clock import iso, now
from prodsprints.ledger import people
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.register.agenda import Agenda
from prodsprints.register.model import Cadence, Document
from prodsprints.register.signed import SIGNED, digest
from prodsprints.register.standing import Standing
from prodsprints.register.summary import Review
from prodsprints.store.database import Database, patient

CADENCES = {
    Cadence.WEEKLY: "high and critical risks, with the engineering team",
    Cadence.MONTHLY: "all risks, with the leadership team",
    Cadence.QUARTERLY: "an assessment and audit from outside",
    Cadence.YEARLY: "the framework itself: levels, scale, appetite, this calendar",
}
_MONTHS = {Cadence.MONTHLY: 1, Cadence.QUARTERLY: 3, Cadence.YEARLY: 12}
# A review of everything is one of the worst risks too; nothing at home replaces a look from outside.
_COVERED_BY = {
    Cadence.WEEKLY: (Cadence.WEEKLY, Cadence.MONTHLY, Cadence.YEARLY),
    Cadence.MONTHLY: (Cadence.MONTHLY, Cadence.YEARLY),
    Cadence.QUARTERLY: (Cadence.QUARTERLY,),
    Cadence.YEARLY: (Cadence.YEARLY,),
}
_SELECT: LiteralString = (
    "select t.id, t.kind, t.due, t.person::text as person, t.attendees, t.decisions, t.agenda, t.created_at, "
    + SIGNED
    + "from reviews t "
)
_LONGEST_DECISIONS = 8_000
_LONGEST_ATTENDEES = 500

Held = Mapping[Cadence, date]
"""When a review of each kind was held last."""


@dataclass(frozen=True)
class Planned:
    """The next review of one kind; `due` is None until the calendar has begun with a first review."""

    kind: Cadence
    due: date | None
    last: date | None

    def is_overdue(self, today: date) -> bool:
        """From the day after it was due."""
        return self.due is not None and self.due < today

    def as_json(self, today: date) -> dict[str, Any]:
        """For programs."""
        return {
            "kind": str(self.kind),
            "of": CADENCES[self.kind],
            "due": self.due and self.due.isoformat(),
            "last": self.last and self.last.isoformat(),
            "is_overdue": self.is_overdue(today),
        }


@dataclass(frozen=True)
class Recorded:
    """A review that was held, in the words of who recorded it; without its statement it moves no due date."""

    id: UUID
    kind: Cadence
    due: date
    person: str
    attendees: str
    decisions: str
    agenda: list[dict[str, Any]]
    created_at: datetime
    is_signed: bool

    def as_json(self, names: Mapping[str, str]) -> dict[str, Any]:
        """For programs; `names` are those of the people that are still known."""
        return {
            "id": str(self.id),
            "kind": str(self.kind),
            "due": self.due.isoformat(),
            "person": names.get(self.person),
            "attendees": self.attendees,
            "decisions": self.decisions,
            "agenda": self.agenda,
            "at": iso(self.created_at),
            "is_signed": self.is_signed,
        }


def schedule(document: Document, held: Held) -> tuple[Planned, ...]:
    """When each kind of review is due next.

    Counted from the last one that was recorded. Before the first, only the document's own date for its next review
    is due: that of all risks.
    """
    began = min(held.values(), default=None)
    return tuple(_planned(kind, document, held, began) for kind in Cadence)


def overdue(document: Document, held: Held, today: date) -> tuple[Review, ...]:
    """The reviews that should have happened before `today`, for the first line and the gate."""
    return tuple(
        Review(_subject(planned.kind, held), planned.due)
        for planned in schedule(document, held)
        if planned.due is not None and planned.is_overdue(today)
    )


def held_of(standing: Standing) -> dict[Cadence, date]:
    """What the ledger says of reviews: the day of the last one of each kind."""
    return {
        Cadence(kind): datetime.fromtimestamp(word.at, UTC).date()
        for kind, word in standing.reviews.items()
        if kind in set(Cadence)
    }


def record(
    db: Database,
    ledger: Ledger,
    *,
    id: UUID,
    kind: Cadence,
    due: date | None,
    attendees: str,
    decisions: str,
    agenda: Agenda,
    actor: str,
) -> Recorded:
    """Record that the review was held, who took part and what was decided; the next is due from today.

    `due` is the day that it was due on, if it was. Raises UsageError for what cannot be meant.
    """
    said_at = now()
    recorded = Recorded(
        id=id,
        kind=kind,
        due=due or said_at.date(),
        person=people.reference(db, ledger.tenant_id, actor),
        attendees=typed.line(attendees, "list of those who took part", _LONGEST_ATTENDEES),
        decisions=typed.paragraphs(decisions, "list of decisions", _LONGEST_DECISIONS),
        agenda=agenda.as_json(),
        created_at=said_at,
        is_signed=True,
    )
    statement = _statement(ledger.tenant_id, recorded)
    with db.tenant(ledger.tenant_id) as connection:
        connection.execute(
            """
            insert into reviews (id, kind, due, person, attendees, decisions, agenda, statement)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                id,
                str(kind),
                recorded.due,
                recorded.person,
                recorded.attendees,
                recorded.decisions,
                Jsonb(recorded.agenda),
                statement.digest,
            ],
        )
    ledger.append(statement)
    return recorded


@patient
def reviews(db: Database, tenant_id: UUID, *, limit: int = 100) -> list[Recorded]:
    """The newest reviews first; also those without a statement."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            _SELECT + "order by t.created_at desc limit %s",
            [limit],
        ).fetchall()
    return [_joined(tenant_id, row) for row in rows]


def _planned(kind: Cadence, document: Document, held: Held, began: date | None) -> Planned:
    last = max((held[by] for by in _COVERED_BY[kind] if by in held), default=None)
    if last is not None:
        return Planned(kind, _after(kind, last), last)
    if kind is Cadence.MONTHLY:
        return Planned(kind, document.next_review, None)
    return Planned(kind, None if began is None else _after(kind, began), None)


def _after(kind: Cadence, day: date) -> date:
    if kind is Cadence.WEEKLY:
        return day + timedelta(days=7)
    years, month = divmod(day.month - 1 + _MONTHS[kind], 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def _subject(kind: Cadence, held: Held) -> str:
    is_documents_own = kind is Cadence.MONTHLY and not {Cadence.MONTHLY, Cadence.YEARLY} & set(held)
    return "the risk document" if is_documents_own else f"the {kind} review: {CADENCES[kind]}"


def _joined(tenant_id: UUID, row: dict[str, Any]) -> Recorded:
    said = row.pop("statement")
    recorded = Recorded(**{**row, "kind": Cadence(row["kind"])})
    return replace(recorded, is_signed=recorded.is_signed and _statement(tenant_id, recorded).digest == said)


def _statement(tenant_id: UUID, recorded: Recorded) -> Statement:
    decisions = digest(f"{recorded.attendees}\x00{recorded.decisions}")
    predicate = {
        "tenant": str(tenant_id),
        "kind": str(recorded.kind),
        "due": recorded.due.isoformat(),
        "person": recorded.person,
        "decisions_sha256": decisions,
        "nonce": str(recorded.id),
    }
    return Statement(PredicateType.REVIEW, (Subject(f"review/{recorded.kind}", decisions),), predicate)
