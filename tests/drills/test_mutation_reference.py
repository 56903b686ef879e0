"""The page that `make mutants` writes: its figures are those measured, and what went unseen is listed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from prodsprints.drills.mutation_report import Fate, Report, Tried
from prodsprints.kernel.clock import now

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import mutation_reference


def test_the_page_tells_both_scores_and_lists_all_that_was_not_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fates = [Fate.CAUGHT] * 9 + [Fate.SURVIVED, Fate.UNDECIDED, Fate.EQUIVALENT, Fate.STILLBORN]
    tried = tuple(Tried(f"m.py:{n}: 1 → 2", fate, f"because {n}", "v", "number") for n, fate in enumerate(fates))
    patch = Tried("X001.1.patch", Fate.CAUGHT, "It did not hold.", "v")
    report = Report("X001.1", now(), 61.0, 7, 40, 30, tried, patch, {"m": (1, 2, 5)}, {"how fast it is": 4})
    measured = tmp_path / "mutants.jsonl"
    measured.write_text(json.dumps({"schema": 1, "line": "mutation", **report.as_json()}) + "\n")
    monkeypatch.setattr(mutation_reference, "TARGET", tmp_path / "mutation.md")
    assert mutation_reference.main([str(measured)]) == 0
    page = (tmp_path / "mutation.md").read_text()
    assert "| X001.1 | 40 | 30 | 13 | 9 | 1 | 1 | 1 | 1 | 81.8% | 69.2% | caught |" in page
    assert all(f"m.py:{n}: 1 → 2" in page for n in range(9, 13))
    assert "because 11" in page
    assert "- 4 damages: how fast it is" in page
    assert "`m`, lines 1-2, 5" in page


def test_without_a_report_the_page_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation_reference, "TARGET", tmp_path / "mutation.md")
    (tmp_path / "nothing.jsonl").touch()
    assert mutation_reference.main([str(tmp_path / "nothing.jsonl")]) == 1
    assert not (tmp_path / "mutation.md").exists()
