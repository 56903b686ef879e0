"""How an error reaches a person (three short parts on stderr) or a program (a problem document on stdout)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prodsprints.cli.errors import ApiError, BadArgumentsError, CrashError, MissingExtraError
from prodsprints.kernel.errors import ExitCode, ProdSprintsError

if TYPE_CHECKING:
    from prodsprints.kernel.redaction import Redactor

_KEPT_CRASHES = 20


def report(error: ProdSprintsError, *, as_json: bool) -> int:
    """Print `error`; returns the exit code that goes with it."""
    document = problem(error)
    if as_json:
        click.echo(json.dumps({"schema": 1, **document}, ensure_ascii=False))
    else:
        click.echo(f"{click.style('✗', fg='red', bold=True)} {_redactor().text(error.what)}", err=True)
        if error.why:
            click.echo(_indented(_redactor().text(error.why)), err=True)
        click.echo(f"{click.style('→', fg='cyan', bold=True)} {_redactor().text(error.next_step)}", err=True)
    return int(document["exit_code"])


def problem(error: ProdSprintsError) -> dict[str, Any]:
    """`error` as an RFC 9457 problem, with the exit code it leads to; the platform's own as it came."""
    from prodsprints.kernel import problems

    if isinstance(error, ApiError):
        return {"exit_code": int(ExitCode.FAILED), **error.problem}
    return problems.problem(error)


def usage(error: click.ClickException) -> ProdSprintsError:
    """What click refused, as one of our errors."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "prodsprints"
    return BadArgumentsError(error.format_message(), next_step=f"`{command} --help` shows what it takes.")


def crash(error: Exception) -> ProdSprintsError:
    """A defect of ours: its traceback goes to a file, a person sees one line and where that file is.

    A library that is not installed is none: the base package is light, and most verbs need an extra.
    """
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("prodsprints"):
        return MissingExtraError(
            f"This command needs the package {error.name}, which is not installed.",
            next_step="Install the whole platform: pip install 'prodsprints[server,embedded]'.",
        )
    where = _write_crash(error)
    return CrashError(
        f"A defect in ProdSprints ended this command ({type(error).__name__}).",
        why="Nothing that was already released is affected.",
        next_step=f"Please report it with {where}; secrets in it are redacted." if where else "Please report it.",
    )


def _write_crash(error: Exception) -> Path | None:
    import traceback

    from prodsprints.kernel import clock

    lines = "".join(traceback.format_exception(error)).splitlines()
    text = "\n".join(_redactor().text(line) for line in lines) + "\n"
    name = f"crash-{clock.now():%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    for directory in _crash_directories():
        with contextlib.suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
            for old in sorted(directory.glob("crash-*.txt"))[:-_KEPT_CRASHES]:
                old.unlink(missing_ok=True)
            return directory / name
    return None


def _crash_directories() -> list[Path]:
    from prodsprints.kernel.settings import Settings

    directories = [Path(tempfile.gettempdir())]
    with contextlib.suppress(ProdSprintsError, OSError, RuntimeError):
        directories.insert(0, Settings.from_environment().home / "logs")
    return directories


def _redactor() -> Redactor:
    from prodsprints.kernel.redaction import Redactor

    return Redactor()


def _indented(text: str) -> str:
    width = max(40, min(100, _terminal_width()) - 2)
    return click.wrap_text(text, width, initial_indent="  ", subsequent_indent="  ", preserve_paragraphs=True)


def _terminal_width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 100
