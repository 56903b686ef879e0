"""What an arm is told of passwords, whoever watches it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

from prodsprints.drills import engine
from prodsprints.drills.engine import Event
from prodsprints.kernel.settings import Settings
from prodsprints.store.address import Address

ADMIN, OURS = "correct horse 'battery", "staple;of 7 words"


def test_no_event_journal_or_output_holds_a_password_that_the_arm_was_given(tmp_path: Path) -> None:
    place = tmp_path / "drill"
    place.mkdir()
    told: list[Event] = []
    quoted = OURS.replace("'", r"\'")
    result = engine.run(
        "telling_drills:tells",
        settings=replace(
            Settings.from_environment({"PRODSPRINTS_HOME": str(tmp_path)}),
            database_url=f"host=127.0.0.1 dbname=x password='{quoted}'",
        ),
        on_event=told.append,
        directory=place,
        tenant=UUID(int=7),
        environment="demo",
        admin=Address("host=127.0.0.1 dbname=x password='" + ADMIN.replace("'", r"\'") + "'"),
    )
    assert result.placebo_journal is not None
    everything = "\n".join(
        [
            *map(str, told),
            result.reason,
            *result.output.values(),
            result.treatment_journal.content.decode(),
            result.placebo_journal.content.decode(),
        ]
    )
    assert "it was told" in everything
    for word in ("horse", "battery", "staple", "7 words"):
        assert word not in everything
