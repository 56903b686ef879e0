"""Drills in the terminal: what there is, one as it runs, and the exit code that its outcome means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_the_list_says_what_each_drill_breaks_and_how_it_ended_last(platform: Any, type_: Callable[..., Any]) -> None:
    shown = type_("drill", "list").out
    assert "moto (double)" in shown
    assert "held" in shown
    assert "It cannot be imported." in shown


def test_a_run_is_followed_with_both_of_its_arms(platform: Any, type_: Callable[..., Any]) -> None:
    look = {"group": "probes", "name": "all calls complete", "words": "3 of 3 failed", "seconds": 0.1}
    platform.events = [
        {"seq": 1, "arm": "placebo", "at": 1.5, "kind": "fault", "data": {"on": True}},
        {"seq": 2, "arm": "placebo", "at": 2.5, "kind": "probe", "data": {**look, "holds": False}},
        {"seq": 3, "arm": "treatment", "at": 2.6, "kind": "probe", "data": {**look, "holds": True}},
    ]
    typed = type_("drill", "run", "R001.1")
    assert typed.code == 0
    assert "the fault begins" in typed.err
    assert "without it        ✗ all calls complete" in typed.err
    assert "with the control  ✓ all calls complete" in typed.err
    assert "Evidence: entry 5 of the ledger." in typed.out


def test_a_control_that_held_without_the_log_taking_it_proves_nothing(platform: Any, type_: Callable[..., Any]) -> None:
    platform.ran = {"outcome": "held", "evidence_index": None}
    typed = type_("drill", "run", "R001.1")
    assert typed.code == 1
    assert "No evidence: the log did not take what it showed" in typed.out


@pytest.mark.parametrize("outcome", ["failed", "invalid", "none"])
def test_everything_but_a_control_that_held_is_a_failure(
    platform: Any, type_: Callable[..., Any], outcome: str
) -> None:
    platform.ran = {"outcome": outcome}
    assert type_("drill", "run", "R001.1").code == 1
