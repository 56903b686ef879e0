"""The drill of S003.4, whole: both arms, on a real PostgreSQL."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import uuid4

from prodsprints.drills import engine
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.store.embedded import EmbeddedPostgres


def test_a_tampered_audit_log_is_noticed_and_a_tampered_table_is_not(
    settings: Settings, postgres: EmbeddedPostgres
) -> None:
    with tempfile.TemporaryDirectory(prefix="drill-") as directory:
        Path(directory).chmod(0o755)
        result = engine.run(
            "prodsprints.controls.privileges.drills:tampered_log",
            settings=settings,
            on_event=lambda _: None,
            directory=Path(directory),
            tenant=uuid4(),
            environment="demo",
            admin=postgres.admin_address(),
        )
    assert result.outcome is Outcome.HELD, result.reason
    assert result.outside == ()
