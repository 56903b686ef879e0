"""Journals: Chaos Toolkit's document, as its own tools read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from prodsprints.drills.engine import Result
from prodsprints.drills.journal import Journal

Play = Callable[[str], Result]

# chaoslib 1.x, chaoslib/types.py, class Journal, and chaoslib/experiment.py, which fills it.
KEYS = {
    *("chaoslib-version", "platform", "node", "experiment", "start", "status", "deviated", "steady_states"),
    *("run", "rollbacks", "end", "duration"),
}


def test_a_journal_has_the_form_of_chaos_toolkits(play: Play) -> None:
    result = play("example_drills:resets")
    assert result.placebo_journal is not None
    for journal, deviated in ((result.treatment_journal, False), (result.placebo_journal, True)):
        document = journal.document()
        assert set(document) == KEYS | {"x-prodsprints"}
        assert document["status"] == "completed"
        assert document["deviated"] is deviated
        assert document["steady_states"]["before"]["steady_state_met"] is True
        assert datetime.fromisoformat(document["start"]) < datetime.fromisoformat(document["end"])
        for activity in document["run"]:
            assert {"activity", "status", "output", "start", "end", "duration"} <= set(activity)
        assert [activity["activity"]["type"] for activity in document["run"]] == ["action", "probe", "probe"]
        experiment = document["experiment"]
        assert experiment["x-prodsprints"]["control-digest"] == result.digest
        names = [probe["name"] for probe in experiment["steady-state-hypothesis"]["probes"]]
        assert names == ["a call is answered"]


def test_a_drill_without_a_verdict_is_journalled_too(play: Play) -> None:
    document = play("broken_drills:raises").treatment_journal.document()
    assert document["status"] == "aborted"
    assert "KeyError" in document["x-prodsprints"]["broken"]
    unsteady = play("broken_drills:system_is_broken").treatment_journal.document()
    assert unsteady["status"] == "failed"
    assert unsteady["steady_states"]["before"]["steady_state_met"] is False
    assert unsteady["run"] == []


def test_a_journal_is_named_by_its_bytes() -> None:
    one, other = Journal(b'{"a": 1}'), Journal(b'{"a": 2}')
    assert one.sha256 != other.sha256
    assert one.document() == {"a": 1}
