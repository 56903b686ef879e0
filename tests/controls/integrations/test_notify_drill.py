"""The drill of R008.3 holds and fails without its control; a worker's duties have the very object that it drills."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from prodsprints.controls.integrations.notifier import Notifier
from prodsprints.controls.providers.guards import Guards
from prodsprints.drills import engine
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.register.load import load
from prodsprints.release.duties import Duties
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres


def test_the_message_arrives_by_sms_and_bare_channels_wait_for_ever(
    settings: Settings, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    result = engine.run(
        "prodsprints.controls.integrations.notify_drills:slack_hangs_mail_resets",
        settings=settings,
        on_event=lambda _: None,
        directory=tmp_path,
        tenant=uuid4(),
        environment="demo",
        admin=postgres.admin_address(),
    )
    assert result.outcome is Outcome.HELD, result.reason
    assert result.measured["recover_seconds"] <= 10


def test_a_workers_duties_have_the_notifier_that_is_drilled(
    database: Database, settings: Settings, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    own = replace(settings, home=tmp_path)
    duties = Duties(database, own, "a-worker", Guards())
    assert type(duties._notifier) is Notifier
    assert load().row("R008.3").control == f"{Notifier.__module__}:{Notifier.__qualname__}"
