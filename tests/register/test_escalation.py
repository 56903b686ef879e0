"""A reported risk: stage after stage, each by somebody, each with a clock that escalates."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from prodsprints.kernel.clock import now
from prodsprints.kernel.errors import UsageError
from prodsprints.ledger import people
from prodsprints.register import escalation
from prodsprints.register.errors import StageError, UnknownReportError
from prodsprints.register.escalation import Report
from prodsprints.store.database import Database


def reported(db: Database, tenant: UUID) -> Report:
    return escalation.report(db, tenant, id=uuid4(), title="The river rises", description="Every spring.", actor="ada")


def test_a_report_goes_through_its_stages_each_by_a_named_person(database: Database, tenant: UUID) -> None:
    report = reported(database, tenant)
    for stage, actor in [("assess", "bob"), ("plan", "cyd"), ("implement", "bob"), ("monitor", "ada")]:
        assert report.stage == stage
        report = escalation.advance(database, tenant, report.id, stage=stage, note=f"{stage} is done", actor=actor)
    assert not report.is_open
    names = people.names(database, tenant, [step.person for step in report.steps])
    assert [names[step.person] for step in report.steps] == ["ada", "bob", "cyd", "bob", "ada"]
    assert report.as_json(names, now())["due_at"] is None
    assert escalation.reports(database, tenant) == [report]


@pytest.mark.parametrize("stage", ["plan", "identify", "done", "asess", ""])
def test_no_stage_is_skipped_or_repeated(database: Database, tenant: UUID, stage: str) -> None:
    report = reported(database, tenant)
    with pytest.raises(StageError, match="does not wait for"):
        escalation.advance(database, tenant, report.id, stage=stage, note="x", actor="bob")
    assert escalation.get(database, tenant, report.id) == report


def test_a_clock_that_ran_out_escalates_and_then_escalates_further(database: Database, tenant: UUID) -> None:
    report = reported(database, tenant)
    assert report.due_at == report.steps[0].created_at + timedelta(days=2)
    in_time, late, very_late = (report.created_at + timedelta(days=days) for days in (1.9, 2.1, 4.1))
    assert [report.escalates_to(at) for at in (in_time, late, very_late)] == [None, "platform", "executive"]
    assert escalation.overdue([report], in_time) == []
    assert escalation.overdue([report], late) == [report]
    assert report.waits(late).startswith("overdue since")


@pytest.mark.parametrize(("title", "description"), [("", "x"), ("x", ""), ("x" * 121, "x"), ("x", "\x00")])
def test_a_report_that_says_nothing_is_refused(database: Database, tenant: UUID, title: str, description: str) -> None:
    with pytest.raises(UsageError):
        escalation.report(database, tenant, id=uuid4(), title=title, description=description, actor="ada")
    assert escalation.reports(database, tenant) == []


def test_another_tenant_neither_sees_nor_advances_it(database: Database, tenant: UUID, other_tenant: UUID) -> None:
    report = reported(database, tenant)
    assert escalation.reports(database, other_tenant) == []
    with pytest.raises(UnknownReportError):
        escalation.advance(database, other_tenant, report.id, stage="assess", note="x", actor="eve")
