from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from prodsprints.register import reviews
from prodsprints.register.assessment import Log, LogState, assess
from prodsprints.register.drilled import Mark
from prodsprints.register.load import load
from prodsprints.register.standing import Incident, RowStanding, Standing
from prodsprints.register.testimony import Attestation
from prodsprints.release.records import Environment, Release
from prodsprints.web.pages.next_actions import Action, next_actions
from prodsprints.web.registers import Shown

REGISTER = load()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
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


NOTHING = Standing("t")
VERIFIED = Log(LogState.VERIFIED)
TODAY = NOW.date()


def shown(standing: Standing = NOTHING, *, today: date = TODAY, log: Log = VERIFIED) -> Shown:
    assessment = assess(REGISTER, standing, {}, "demo", NOW, log)
    return Shown(REGISTER, assessment, standing, reviews.overdue(REGISTER.document, {}, today))


def actions(*statuses: str, of: Shown | None = None, workers: int = 1) -> list[Action]:
    releases = [replace(RELEASE, id=uuid4(), status=status) for status in statuses]
    environments = [ENVIRONMENT] if releases else []
    return next_actions(environments, releases, of or shown(), workers=workers, program=".venv/bin/prodsprints")


def titles(*statuses: str, of: Shown | None = None, workers: int = 1) -> list[str]:
    return [action.title for action in actions(*statuses, of=of, workers=workers)]


def test_without_a_project_the_exact_command_comes_first() -> None:
    assert actions()[0].command == ".venv/bin/prodsprints audit ~/app"


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
    assert "Review the risk document" in titles("released", of=shown(today=date(2024, 2, 2)))
    assert "Review the risk document" not in titles("released", of=shown(today=date(2024, 2, 1)))


def test_thirty_rows_of_critical_risks_are_unproven() -> None:
    assert titles("released")[-1] == "30 rows of critical risks are unproven"


def test_a_log_that_was_tampered_with_is_said_once_and_before_everything() -> None:
    said = actions("rolled_back", of=shown(log=Log(LogState.TAMPERED, "Entry 3 was edited.")))
    assert said[0].title == "The log was tampered with"
    assert (said[0].why, said[0].href) == ("Entry 3 was edited.", "/evidence")
    assert not any("proves nothing" in one.title for one in said)


def test_a_row_that_an_incident_contradicts_leads_to_its_page_and_not_to_a_number() -> None:
    id = str(uuid4())
    happened = Incident(id, "demo", "R001", ("R001.1",), Mark(3, NOW.timestamp()))
    first = actions("rolled_back", of=shown(Standing("t", incidents={id: happened})))[0]
    assert first.title == "R001.1 is contradicted by an incident"
    assert first.href == "/rows/R001.1?environment=demo"
    assert id not in first.why
    assert "An incident happened" in first.why


def test_what_ends_by_itself_soon_is_named_before_it_does() -> None:
    def signed(days: float) -> Shown:
        until = (NOW + timedelta(days=days)).timestamp()
        word = Attestation(4, NOW.timestamp(), "n", "demo", "S001.5", "ada", until)
        return shown(Standing("t", rows={("demo", "S001.5"): RowStanding(attestation=word)}))

    assert "S001.5 will not be fresh for long" in titles("released", of=signed(1))
    assert "S001.5 will not be fresh for long" not in titles("released", of=signed(30))
