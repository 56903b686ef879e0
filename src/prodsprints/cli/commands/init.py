"""`prodsprints init`: write a `prodsprints.yaml` that says only what the repository's files do not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from prodsprints.cli import options
from prodsprints.cli.errors import WouldOverwriteError
from prodsprints.cli.output import Output
from prodsprints.kernel.errors import ExitCode


@click.command("init")
@options.repository
@click.option("--force", is_flag=True, help="Replace a prodsprints.yaml that is there.")
@options.as_json
def command(path: Path, force: bool, out: Output) -> int:
    """Write PATH/prodsprints.yaml; asks only what the audit could not find, and never without a terminal.

    \b
    Example: prodsprints init ~/app
    """
    from prodsprints.cli.commands import audit
    from prodsprints.kernel import files
    from prodsprints.release import config

    target = path / config.FILE_NAME
    if target.exists() and not force:
        raise WouldOverwriteError(
            f"{target} is there already.", next_step="Look at it with `prodsprints config show`; --force replaces it."
        )
    found = audit.run(path, regardless=force)
    if found.application is None:
        if not out.json:
            for part in audit.rendered(found):
                out.say(part)
        out.line("audit", found.as_json())
        return ExitCode.REFUSED
    answers: dict[str, Any] = {"name": found.application.name}
    asking = sys.stdin.isatty() and sys.stderr.isatty() and not out.json
    for question in found.questions:
        guess = question.options[0] if question.options else ""
        answers[question.key] = _ask(question.text, question.options) if asking else guess
    stated = {key: value for key, value in answers.items() if value != ""}
    files.replace(target, config.render(_valid(stated)).encode(), mode=0o644, durable=False)
    out.line("file", {"path": str(target), "written": stated, "open": [question.key for question in found.questions]})
    out.say(f"Wrote {target}.")
    if not asking:
        for question in found.questions:
            shown = stated.get(question.key, "nothing")
            out.say(f"? {question.text}  Written: {question.key}: {shown}. Change it there if that is wrong.")
    out.say(f"Next: commit it, then `prodsprints release {path}`.")
    return ExitCode.DONE


def _ask(text: str, guesses: tuple[str, ...]) -> str:
    answer: str = click.prompt(text, default=guesses[0] if guesses else "", show_default=bool(guesses), err=True)
    return answer


def _valid(stated: dict[str, Any]) -> Any:
    """The answers as a configuration; a wrong one is refused with the words of the configuration's own checks."""
    import yaml

    from prodsprints.release import config

    return config.parse(yaml.safe_dump({"version": 1, **stated}), name="your answers").for_environment(None)
