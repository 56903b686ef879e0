"""What is declared of each integration is what the code does, and what a drill or a test shows."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from prodsprints.controls.integrations.degradation import DECLARED, Degradation
from prodsprints.drills.experiment import Experiment

ROOT = Path(__file__).parents[3]


def named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return attrgetter(attribute)(importlib.import_module(module))


@pytest.mark.parametrize("declared", DECLARED, ids=lambda one: one.name)
def test_what_is_declared_is_done_by_code_that_exists(declared: Degradation) -> None:
    assert declared.code
    assert all(callable(named(name)) for name in declared.code)


@pytest.mark.parametrize("declared", DECLARED, ids=lambda one: one.name)
def test_what_is_declared_is_shown_by_a_drill_or_a_test_that_exists(declared: Degradation) -> None:
    assert declared.shown_by
    for shown in declared.shown_by:
        file, _, test = shown.partition("::")
        if test:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        else:
            assert isinstance(named(shown), Experiment)


def test_no_integration_is_declared_twice() -> None:
    assert len({one.name for one in DECLARED}) == len(DECLARED)


def test_the_reference_of_degradation_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/degradation_reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
