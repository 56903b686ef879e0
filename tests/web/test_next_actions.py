from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from prodsprints.register.load import load
from prodsprints.release.records import Environment, Release
from prodsprints.web.pages.next_actions import next_actions, unproven_critical

REGISTER = load()
ENVIRONMENT = Environment(uuid4(), uuid4(), "shop", "/home/ada/shop", "production", "workbench", None, None)
RELEASE = Release(
    tenant_id=uuid4(),
    id=uuid4(),
    environment_id=ENVIRONMENT.id,
    project="shop",
    environment="production",
    number=1,
    kind="release",
    status="released",
    repository="/home/ada/shop",
    commit="0" * 40,
    label="v1",
    digest=None,
    requested_by="ada",
    node="workbench",
    fencing_token=None,
    worker=None,
    options={},
    reason="It erred.",
    figures={},
    abort_requested_at=None,
    promote_requested_at=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    started_at=None,
    finished_at=None,
)


def titles(*statuses: str, today: date = date(2026, 1, 1), workers: int = 1) -> list[str]:
    releases = [replace(RELEASE, id=uuid4(), status=status) for status in statuses]
    environments = [ENVIRONMENT] if releases else []
    summary = REGISTER.summary(today)
    critical = unproven_critical(REGISTER)
    actions = next_actions(environments, releases, summary, critical, workers=workers, program="prodsprints")
    return [action.title for action in actions]


def test_without_a_project_the_exact_command_comes_first() -> None:
    summary = REGISTER.summary(date(2026, 1, 1))
    first = next_actions([], [], summary, [], workers=1, program=".venv/bin/prodsprints")[0]
    assert first.command == ".venv/bin/prodsprints audit ~/app"


@pytest.mark.parametrize(
    ("status", "said"), [("rolled_back", "was rolled back"), ("refused", "was refused"), ("failed", "failed")]
)
def test_what_went_wrong_comes_before_everything_but_a_missing_worker(status: str, said: str) -> None:
    assert titles(status)[0] == f"See why shop v1 {said}"


def test_a_release_that_waits_without_a_worker_is_the_first_thing_to_mend() -> None:
    assert titles("rolled_back", "queued", workers=0)[0] == "Start a worker"
    assert "Start a worker" not in titles("queued", workers=1)


def test_a_running_release_can_be_watched() -> None:
    assert titles("running")[0] == "Watch shop v1 go to production"


def test_the_overdue_review_is_named_from_the_day_after_it_was_due() -> None:
    assert "Review the risk document" in titles("released", today=date(2024, 2, 2))
    assert "Review the risk document" not in titles("released", today=date(2024, 2, 1))


def test_thirty_rows_of_critical_risks_are_unproven() -> None:
    assert titles("released")[-1] == "30 rows of critical risks are unproven"
