"""The entry: help, usage errors, exit codes, and what an error looks like."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from prodsprints.cli import failure
from prodsprints.cli.errors import StoryError
from prodsprints.cli.main import cli, main
from prodsprints.kernel.errors import ExitCode

VERBS = cli.list_commands(click.Context(cli))
HEAVY = ("pydantic", "rich", "httpx", "psycopg", "yaml", "fastapi", "sqlalchemy", "aiohttp", "dbos")


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from prodsprints.cli.main import main
sys.argv = ["prodsprints", "--help"]
assert main() == 0
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_with_an_example_and_imports_its_module_only(
    verb: str, type_: Callable[..., object]
) -> None:
    typed = type_(verb, "--help")
    assert typed.code == 0
    assert "Example: " in typed.out


def test_help_names_every_verb(type_: Callable[..., object]) -> None:
    shown = type_("--help").out
    assert all(f"  {verb} " in shown for verb in VERBS)
    assert type_().out == shown


@pytest.mark.parametrize(
    "words",
    [["no-such-verb"], ["audit", "--no-such-option"], ["audit", ".", "two"], ["up", "--once"], ["config", "nothing"]],
)
def test_a_wrong_command_exits_64_and_says_where_help_is(words: list[str], type_: Callable[..., object]) -> None:
    typed = type_(*words)
    assert typed.code == ExitCode.USAGE
    assert "→ " in typed.err
    assert typed.out == ""


def test_in_json_mode_an_error_is_a_problem_on_stdout(type_: Callable[..., object]) -> None:
    typed = type_("audit", "--no-such-option", "--json")
    assert typed.err == ""
    (problem,) = typed.lines
    assert problem["schema"] == 1
    assert problem["exit_code"] == 64
    assert {"type", "title", "status", "detail", "code", "next_step"} <= problem.keys()


def test_without_a_platform_a_verb_says_how_to_start_one(type_: Callable[..., object]) -> None:
    typed = type_("status")
    assert typed.code == ExitCode.FAILED
    assert "No platform answers at http://127.0.0.1:1." in typed.err
    assert "prodsprints up" in typed.err


def test_without_a_token_nothing_is_sent(type_: Callable[..., object], tmp_path: Path) -> None:
    typed = type_("release", str(tmp_path))
    assert typed.code == ExitCode.FAILED
    assert "no token" in typed.err


def test_a_defect_leaves_one_line_and_a_redacted_file_and_no_traceback(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command("status")
    def broken() -> None:
        raise RuntimeError("the password=hunter2hunter2 was wrong")

    monkeypatch.setattr("prodsprints.cli.commands.status.command", broken)
    assert main(["status"]) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    assert "hunter2" not in shown.out + shown.err
    (crash,) = (home / "logs").glob("crash-*.txt")
    assert str(crash) in shown.err
    text = crash.read_text()
    assert "RuntimeError" in text
    assert "hunter2" not in text
    assert crash.stat().st_mode & 0o077 == 0


def test_a_missing_extra_says_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command("status")
    def needs_more() -> None:
        import a_package_of_an_extra  # type: ignore[import-not-found]  # noqa: F401

    monkeypatch.setattr("prodsprints.cli.commands.status.command", needs_more)
    assert main(["status"]) == ExitCode.FAILED
    shown = capsys.readouterr().err
    assert "a_package_of_an_extra" in shown
    assert "prodsprints[server,embedded]" in shown


def test_ctrl_c_exits_130_without_a_word_of_python(
    monkeypatch: pytest.MonkeyPatch, type_: Callable[..., object]
) -> None:
    @click.command("status")
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("prodsprints.cli.commands.status.command", interrupted)
    typed = type_("status")
    assert typed.code == 130
    assert "Traceback" not in typed.err


def test_an_error_has_three_parts_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    error = StoryError("It broke.", why="A reason.", next_step="Do this.")
    assert failure.report(error, as_json=False) == 1
    shown = capsys.readouterr().err
    assert shown.index("It broke.") < shown.index("A reason.") < shown.index("Do this.")


def test_errors_are_redacted_on_their_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    error = StoryError("No answer from postgresql://me:geheim99@db/x.", next_step="Set token=abcdef123456.")
    failure.report(error, as_json=False)
    failure.report(error, as_json=True)
    shown = capsys.readouterr()
    assert "geheim99" not in shown.out + shown.err
    assert "abcdef123456" not in shown.out + shown.err
    assert json.loads(shown.out)["code"] == "cli/tour"
