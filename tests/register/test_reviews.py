"""Reviews: when each is due, what its agenda holds, what was recorded, and that only a signed record moves a date."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.incidents import Action, Incident
from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.register import reviews
from prodsprints.register.agenda import Agenda, Why, agenda
from prodsprints.register.assessment import Assessment, Log, LogState, assess
from prodsprints.register.escalation import Report, Step
from prodsprints.register.kris import Facts, ReleaseFact, readings
from prodsprints.register.model import Cadence, Document
from prodsprints.register.register import Register
from prodsprints.register.standing import Standing, fold
from prodsprints.store.database import Database
from register import support_log as said

TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DOCUMENT = Document("Platform", "CTO", date(2024, 1, 1), date(2024, 2, 1))
days = st.dates(date(2020, 1, 1), date(2090, 1, 1))


def due(held: reviews.Held) -> dict[str, date | None]:
    return {str(planned.kind): planned.due for planned in reviews.schedule(DOCUMENT, held)}


def test_before_the_first_review_only_the_documents_own_date_is_due() -> None:
    assert due({}) == {"weekly": None, "monthly": date(2024, 2, 1), "quarterly": None, "yearly": None}
    [late] = reviews.overdue(DOCUMENT, {}, TODAY)
    assert (late.subject, late.due) == ("the risk document", date(2024, 2, 1))


def test_the_first_review_begins_the_calendar() -> None:
    assert due({Cadence.WEEKLY: date(2026, 1, 31)}) == {
        "weekly": date(2026, 2, 7),
        "monthly": date(2024, 2, 1),
        "quarterly": date(2026, 4, 30),
        "yearly": date(2027, 1, 31),
    }


def test_a_review_of_everything_is_one_of_the_worst_risks_too_but_not_one_from_outside() -> None:
    held = {Cadence.WEEKLY: date(2026, 1, 5), Cadence.MONTHLY: date(2026, 1, 31), Cadence.QUARTERLY: date(2025, 11, 1)}
    assert due(held) == {
        "weekly": date(2026, 2, 7),
        "monthly": date(2026, 2, 28),
        "quarterly": date(2026, 2, 1),
        "yearly": date(2026, 11, 1),
    }


def test_a_review_is_overdue_from_the_day_after_it_was_due() -> None:
    held = {Cadence.MONTHLY: date(2026, 10, 23), Cadence.WEEKLY: date(2026, 11, 20)}
    assert reviews.overdue(DOCUMENT, held, date(2026, 11, 23)) == ()
    assert [late.due for late in reviews.overdue(DOCUMENT, held, date(2026, 11, 24))] == [date(2026, 11, 23)]


@given(st.dictionaries(st.sampled_from(Cadence), days), days)
def test_a_review_held_today_is_never_overdue_today(held: dict[Cadence, date], today: date) -> None:
    for planned in reviews.schedule(DOCUMENT, held | {Cadence.YEARLY: today, Cadence.QUARTERLY: today}):
        assert planned.due is not None
        assert not planned.is_overdue(today) or held.get(planned.kind, today) > today


def test_a_recorded_review_moves_the_date_once_it_is_in_the_ledger(
    database: Database, ledger: Ledger, settings: Settings
) -> None:
    recorded = reviews.record(
        database,
        ledger,
        id=uuid4(),
        kind=Cadence.MONTHLY,
        due=date(2024, 2, 1),
        attendees="Ada, Bob",
        decisions="R001: raise the quota.\nR002: drill weekly.",
        agenda=Agenda(Cadence.MONTHLY, ()),
        actor="ada",
    )
    Sequencer(database, Keyring.open(settings.home), Witness.open(settings)).sequence(ledger.tenant_id)
    held = reviews.held_of(fold(Standing(str(ledger.tenant_id)), ledger.entries()))
    assert list(held) == [Cadence.MONTHLY]
    assert reviews.overdue(DOCUMENT, held, held[Cadence.MONTHLY]) == ()
    [listed] = reviews.reviews(database, ledger.tenant_id)
    assert (listed.id, listed.decisions, listed.is_signed) == (recorded.id, recorded.decisions, True)


@pytest.mark.parametrize(
    "change", ["decisions = 'None.'", "attendees = 'Eve'", "due = '2026-01-01'", "kind = 'yearly'"]
)
def test_a_review_that_was_changed_by_sql_is_shown_as_unsigned(
    database: Database, ledger: Ledger, change: str, other_tenant: UUID
) -> None:
    reviews.record(
        database, ledger, id=uuid4(), kind=Cadence.WEEKLY, due=None, attendees="Ada", decisions="x",
        agenda=Agenda(Cadence.WEEKLY, ()), actor="ada",
    )  # fmt: skip
    with database.tenant(ledger.tenant_id) as connection:
        connection.execute(f"update reviews set {change}".encode())
    [listed] = reviews.reviews(database, ledger.tenant_id)
    assert not listed.is_signed
    assert reviews.reviews(database, other_tenant) == []


@pytest.mark.parametrize(("attendees", "decisions"), [("", "x"), ("Ada", " "), ("Ada", "x" * 8001), ("x" * 501, "x")])
def test_a_review_without_people_or_decisions_is_none(
    database: Database, ledger: Ledger, attendees: str, decisions: str
) -> None:
    with pytest.raises(UsageError):
        reviews.record(
            database, ledger, id=uuid4(), kind=Cadence.WEEKLY, due=None, attendees=attendees, decisions=decisions,
            agenda=Agenda(Cadence.WEEKLY, ()), actor="ada",
        )  # fmt: skip
    assert reviews.reviews(database, ledger.tenant_id) == []


def assessed(register: Register, log: said.Log) -> Assessment:
    return assess(register, log.standing, {}, "demo", NOW, Log(LogState.VERIFIED))


def test_an_agenda_holds_what_is_wrong_runs_out_was_reported_and_happened(register: Register) -> None:
    log = said.Log()
    log.add(said.attestation("S001.5", expires=NOW + timedelta(days=3)), NOW)
    log.add(said.attestation("O001.5", expires=NOW - timedelta(days=3)), NOW)
    log.add(said.acceptance("R010", expires=NOW + timedelta(days=3)), NOW)
    log.add(said.incident("declared", rows=["R001.1"]), NOW)
    incident = Incident(
        uuid4(), "demo", "R001", (), "Throttled", "x", False, NOW, (Action(uuid4(), "declared", "p", NOW),)
    )
    report = Report(uuid4(), "The river rises", "x", NOW, (Step("identify", "p", "x", NOW),))
    indicators = readings(Facts(releases=[ReleaseFact(TODAY, "release", "rolled_back", 1, 1, 1)]), TODAY)
    points = agenda(
        Cadence.MONTHLY, assessed(register, log), incidents=[incident], reports=[report], indicators=indicators
    ).points
    found = {(point.why, point.about) for point in points}
    assert found >= {
        (Why.INCIDENT, str(incident.id)), (Why.STATUS, "R001.1"), (Why.STATUS, "O001.5"), (Why.EXPIRING, "S001.5"),
        (Why.ACCEPTANCE, "R010"), (Why.REPORT, str(report.id)), (Why.INDICATOR, "deployment-success"),
    }  # fmt: skip
    assert [point.why for point in points] == sorted((point.why for point in points), key=list(Why).index)


def test_a_weekly_agenda_leaves_medium_and_low_risks_to_the_monthly_one(register: Register) -> None:
    log = said.Log().add(said.acceptance("R010", expires=NOW + timedelta(days=3)), NOW)
    assert not agenda(Cadence.WEEKLY, assessed(register, log)).points
    assert [point.about for point in agenda(Cadence.MONTHLY, assessed(register, log)).points] == ["R010"]


def test_an_agenda_leaves_out_what_is_well(register: Register) -> None:
    calm = replace(assessed(register, said.Log()), now=NOW)
    assert agenda(Cadence.YEARLY, calm).points == ()
