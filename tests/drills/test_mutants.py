"""Damaged sources: which damages are made, and whether the drills of a row notice them."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import example_control
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from prodsprints.drills import mutants, mutants_sql, mutation, workshop
from prodsprints.drills.catalog import Catalog, Drill
from prodsprints.drills.errors import ExperimentError
from prodsprints.drills.mutants import Mutant
from prodsprints.drills.mutation_report import Fate, Report, Tried
from prodsprints.drills.workshop import Workshop
from prodsprints.kernel.clock import now
from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.settings import Settings

OURS = sorted((Path(mutants.__file__).parents[1]).rglob("*.py"))
CONTROL = Path(example_control.__file__)


def _changes(source: str) -> set[str]:
    return {mutant.change for mutant in mutants.generate("m", source)}


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("a < b <= c", {"< → <=", "<= → <"}),
        ("(a) is not (b)", {"is not → is"}),
        ("x = a and b or c", {"and → or", "or → and"}),
        ("x = not a", {"not → "}),
        ("x = (a + b) * 3", {"+ → -", "* → /", "3 → 0", "3 → 4"}),
        ("x = 2.5", {"2.5 → 0", "2.5 → 25.0"}),
        ("x = 0.0", {"0.0 → 1"}),
        ("x = 'a' + b", set()),
        ("if ready: go()", {"ready → not (ready)", "go() → pass"}),
        ("while True: break", {"True → False"}),
        ("def f() -> 'x': return 0", {"0 → None", "0 → 1"}),
        ("def f(): return None", set()),
        ("self.x = y", {"self.x = y → pass"}),
        ("x = y", set()),
        ("_log.warning('%s', 5)", set()),
        ("raise WrongError(5)", {"raise WrongError(5) → pass"}),
        ("'a docstring'", set()),
        ("x = f'{5}'", set()),
        ("assert x == 1", set()),
        ("x: Annotated[int, 5] = y", set()),
        ("@cache(5)\ndef f(): pass", set()),
    ],
)
def test_each_damage_is_one_small_change(source: str, changes: set[str]) -> None:
    assert _changes(source) == changes


@settings_of_hypothesis(max_examples=12)
@given(st.sampled_from(OURS))
def test_every_mutant_of_our_own_sources_parses_and_differs(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    for mutant in mutants.generate(path.stem, source)[:40]:
        assert mutant.source != source
        ast.parse(mutant.source)
        assert mutant.text in source


def test_the_same_seed_draws_the_same_mutants() -> None:
    every = mutants.generate("example_control", CONTROL.read_text())
    drawn = mutants.sample(every, 7, seed=1)
    assert drawn == mutants.sample(list(reversed(every)), 7, seed=1)[::-1]
    assert len(drawn) == 7
    assert drawn != mutants.sample(every, 7, seed=2)
    assert mutants.sample(every, 10_000, seed=1) == every


@pytest.fixture
def drills() -> tuple[Drill, ...]:
    return Catalog.of({"X001.1": ("example_drills:resets", "example_drills:throttled")}).drills("X001.1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"PRODSPRINTS_HOME": str(tmp_path)})


def test_damages_are_noticed_survivors_named_and_the_tree_stays_as_it_is(
    drills: tuple[Drill, ...], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = CONTROL.read_bytes()
    # The first is noticed by one of the drills, the second by the other, and no drill executes the third.
    wanted = {"0.1 → 0", "!= → ==", "raise GaveUpError → pass"}
    generate = mutants.generate

    def some(module: str, source: str) -> list[Mutant]:
        return [mutant for mutant in generate(module, source) if mutant.change in wanted]

    monkeypatch.setitem(workshop._GENERATORS, ".py", some)
    report = mutation.mutate("X001.1", drills, settings=settings, admin=None)
    fates = {tried.what.partition(": ")[2].partition("   in")[0]: tried.fate for tried in report.tried}
    assert fates == dict.fromkeys(wanted - {"raise GaveUpError → pass"}, Fate.CAUGHT)
    assert report.score == 1.0
    # No drill of the row lets all attempts fail, and the report says so.
    assert example_control_line("raise GaveUpError") in report.uncovered["example_control"]
    assert "not executed by any drill: example_control" in report.as_text()
    assert CONTROL.read_bytes() == before


def example_control_line(text: str) -> int:
    return CONTROL.read_text().splitlines().index(f"    {text}") + 1


def test_a_drill_that_does_not_hold_cannot_judge_damages(settings: Settings) -> None:
    drills = Catalog.of({"X001.1": ("broken_drills:control_does_nothing",)}).drills("X001.1")
    with pytest.raises(ExperimentError, match="does not hold as it is"):
        mutation.mutate("X001.1", drills, settings=settings, admin=None)


def test_the_authors_patch_is_applied_to_the_copy_and_taken_back(drills: tuple[Drill, ...], tmp_path: Path) -> None:
    notes = tmp_path / "mutants"
    notes.mkdir()
    (notes / "X001.1.patch").write_text(
        "--- a/tests/example_control.py\n+++ b/tests/example_control.py\n"
        "@@ -10,2 +10,2 @@\n-ATTEMPTS = 5\n+ATTEMPTS = 1\n WAIT_SECONDS = 0.1\n"
    )
    with Workshop.over(drills) as made:
        workshop = replace(made, notes=notes)
        copy = workshop.tree / "example_control.py"
        with workshop.patched():
            assert "ATTEMPTS = 1\n" in copy.read_text()
        assert copy.read_bytes() == CONTROL.read_bytes()
        (notes / "X001.1.patch").write_text("no patch at all")
        with pytest.raises(ExperimentError, match="does not fit"), workshop.patched():
            pass


def test_damages_that_are_known_to_change_nothing_are_told_apart(drills: tuple[Drill, ...], tmp_path: Path) -> None:
    (tmp_path / "X001.1.yaml").write_text(
        "- module: example_control\n  line: more = connection.recv(4096)\n  change: 4096 → 0\n  why: any size will do\n"
    )
    with Workshop.over(drills) as made:
        workshop = replace(made, notes=tmp_path)
        known = {mutant.change: workshop.equivalent(mutant) for mutant in workshop.mutants()}
    assert known.pop("4096 → 0") == "any size will do"
    assert set(known.values()) == {""}


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("select 1 from a where b and not c -- and a comment\n", {
            "select 1 from a where b and not c -- and a comment → ", "1 → 0", "1 → 2", "and → or", "not → ",
        }),
        ("select 'and 1' where a between 3 and c", {"select 'and 1' where a between 3 and c → ", "3 → 0", "3 → 4"}),
        ("x is null", {"x is null → ", "is → is not"}),
        ("x is not null", {"x is not null → ", "not → "}),
        ("grant select on a to b", {"grant select on a to b → "}),
        ("do $$ begin if found then delete from a; end if; return x; end $$", {
            "do $$ begin if found then delete from a; end if; return x; end $$ → ",
            "found → not (found)", "delete from a → null",
        }),
    ],
)  # fmt: skip
def test_each_damage_to_a_schema_is_one_small_change(source: str, changes: set[str]) -> None:
    assert {mutant.change for mutant in mutants_sql.generate("m:a.sql", f"{source};\n")} == changes


def test_a_schema_of_nothing_but_comments_cannot_be_damaged() -> None:
    assert mutants_sql.generate("empty", "-- nothing yet\n") == []


def test_each_damage_to_a_schema_knows_the_statement_it_is_in() -> None:
    source = "create table a (b int default 1);\ndo $$ begin perform 2; end $$;\ngrant select\n on a to b;"
    found = {mutant.statement.partition(";")[0] for mutant in mutants_sql.generate("m:a.sql", source)}
    assert found == {"create table a (b int default 1)", "do $$ begin perform 2", "grant select on a to b"}


def test_a_note_about_a_damage_that_is_not_made_is_refused(drills: tuple[Drill, ...], tmp_path: Path) -> None:
    (tmp_path / "X001.1.yaml").write_text("- {module: example_control, line: gone, change: 1 → 0, why: it was there}\n")
    with Workshop.over(drills) as made, pytest.raises(UsageError, match="that is not made: 1 → 0 in: gone"):
        replace(made, notes=tmp_path).refuse_unknown_notes(made.mutants())


def test_only_failing_counts_as_caught() -> None:
    fates = [Fate.CAUGHT] * 8 + [Fate.SURVIVED, Fate.UNDECIDED, Fate.EQUIVALENT, Fate.STILLBORN]
    tried = tuple(Tried(f"m{n}", fate, "why", "v", "number") for n, fate in enumerate(fates))
    report = Report("X001.1", now(), 1.0, 1, 30, 20, tried, None)
    assert (report.score, report.score_of_all) == (0.8, 8 / 12)
    assert [each.fate for each in report.survivors] == fates[8:]
    assert report.as_json()["undecided"] == 1
    assert report.as_json()["operators"] == {"number": {"tried": 12, "caught": 8}}
    assert not report.is_good
