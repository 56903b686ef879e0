"""Two arms: what a drill proves, and what a defective one cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from prodsprints.drills.arms import Ending
from prodsprints.drills.engine import Event, Result
from prodsprints.drills.verdict import Outcome
from support_waiting import eventually

Play = Callable[[str], Result]


def test_a_control_holds_where_the_bare_peer_does_not(play: Play) -> None:
    result = play("example_drills:resets")
    assert result.outcome is Outcome.HELD, result.reason
    assert "the call was answered" in result.reason
    assert "ConnectionResetError" in result.reason
    assert result.placebo is not None
    assert result.treatment.ending is result.placebo.ending is Ending.PLAYED


def test_a_drill_before_an_http_api_holds(play: Play) -> None:
    result = play("example_drills:throttled")
    assert result.outcome is Outcome.HELD, result.reason
    assert result.measured == {"calls_lost": 0.0}
    assert result.placebo is not None
    assert result.placebo.measured == {"calls_lost": 3.0}
    assert len(result.treatment.samples) == 10


def test_whoever_watches_sees_both_arms_phase_by_phase_and_the_verdict(play: Play, told: list[Event]) -> None:
    play("example_drills:resets")
    for arm in ("treatment", "placebo"):
        phases = [event.data["name"] for event in told if event.arm == arm and event.kind == "phase"]
        assert phases[:6] == ["import", "stand", "subject", "steady", "inject", "probes"]
        assert [event.data["on"] for event in told if event.arm == arm and event.kind == "fault"] == [True, False]
    assert told[-1].kind == "verdict"
    assert told[-1].data["outcome"] == "held"


@pytest.mark.parametrize(
    ("drill", "outcome", "why"),
    [
        ("hangs", Outcome.NONE, "it hung: still in phase 'probes' after 1 s"),
        ("control_hangs", Outcome.FAILED, "the control did not come back within"),
        ("raises", Outcome.NONE, "it raised KeyError"),
        ("exits", Outcome.NONE, "it raised SystemExit (3)"),
        ("dies", Outcome.NONE, "its process was ended by signal 9"),
        ("says_nothing", Outcome.NONE, "returned None, which is no Observation"),
        ("leaves_its_fault", Outcome.NONE, "it left its fault behind: Latency(seconds=0.001"),
        ("leaves_a_process", Outcome.NONE, "it left processes behind: python"),
        ("leaves_a_listener", Outcome.NONE, "it left a listener behind, on port "),
        ("placebo_passes", Outcome.INVALID, "The bare peer held as well"),
        ("placebo_cannot_be_imported", Outcome.NONE, "The placebo arm gives no verdict: it raised ModuleNotFoundError"),
        ("aims_abroad", Outcome.NONE, "it aimed at a foreign address: 192.0.2.1"),
        ("proxies_abroad", Outcome.NONE, "it raised ForeignTargetError"),
        ("system_is_broken", Outcome.NONE, "The system was broken before the fault"),
        ("fault_never_comes", Outcome.NONE, "the peer did not see the fault"),
        ("control_reaches_further", Outcome.FAILED, "Only the treatment executes prodsprints/kernel/clock.py:10"),
        ("control_does_nothing", Outcome.FAILED, "The control did not hold"),
        ("control_raises", Outcome.FAILED, "the control let TypeError"),
        ("control_breaks_healthy_calls", Outcome.FAILED, "The control breaks what works without it"),
    ],
)
def test_every_defect_has_its_outcome_and_its_reason(play: Play, drill: str, outcome: Outcome, why: str) -> None:
    before = {process.pid for process in psutil.process_iter()}
    result = play(f"broken_drills:{drill}")
    assert why in result.reason
    assert result.outcome is outcome
    # The tests' own PostgreSQL starts and ends processes as it likes.
    others = before - {os.getpid()}
    children = [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    assert [child for child in children if child.pid not in before and child.ppid() not in others] == []


def test_a_drill_that_nothing_can_interrupt_is_killed_with_its_grandchildren(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodsprints.drills.engine._START_SECONDS", 1.0)
    result = play("broken_drills:hangs_deaf")
    assert "it hung, and was killed after 2 s" in result.reason
    assert result.outcome is Outcome.NONE
    assert _processes_with(f"grandchild-of-{(tmp_path / 'drill').name}") == []


def test_a_drill_of_a_killed_worker_leaves_no_process(tmp_path: Path) -> None:
    program = (
        "import sys, uuid, pathlib\n"
        "from prodsprints.drills import engine\n"
        "from prodsprints.kernel.settings import Settings\n"
        "engine.run('broken_drills:hangs', settings=Settings.from_environment({}), tenant=uuid.UUID(int=1),\n"
        "    on_event=lambda e: print(e.kind, e.data, flush=True), directory=pathlib.Path(sys.argv[1]),\n"
        "    environment='demo')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], env=env, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            if line.startswith("fault"):
                break
        below = psutil.Process(worker.pid).children(recursive=True)
        assert len(below) >= 4, "two keepers, two arms, their fault processes"
        os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: not any(process.is_running() for process in below), seconds=5)


def test_what_a_drill_says_too_much_of_is_bounded(play: Play) -> None:
    result = play("broken_drills:talks_much")
    assert result.outcome is Outcome.HELD, result.reason
    assert len(result.treatment.samples) == 20_000
    assert result.measured == {"recover_seconds": 0.25}
    assert len(result.output["treatment"]) <= 8_192
    assert len(result.treatment_journal.content) < 200_000
    assert json.loads(result.treatment_journal.content)["x-prodsprints"]["samples_in_all"] == 20_000


def _processes_with(word: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if word in " ".join(process.info["cmdline"] or ())]
