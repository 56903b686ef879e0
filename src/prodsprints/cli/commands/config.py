"""`prodsprints config show`: what holds for a repository's releases, and why."""

from __future__ import annotations

from pathlib import Path

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output


@click.group("config")
def command() -> None:
    """The effective configuration of a repository.

    \b
    Example: prodsprints config show ~/app --env staging
    """


@command.command("show")
@options.repository
@options.env
@click.option("--schema", is_flag=True, help="Print the JSON Schema of prodsprints.yaml instead, for editors.")
@options.as_json
def show(path: Path, environment: str | None, schema: bool, out: Output) -> None:
    """Each value that holds for the repository (or prodsprints.yaml) at PATH, and where it comes from.

    Of what the specification's blocks say and no control enforces yet, it says "accepted, not enforced yet".

    \b
    Example: prodsprints config show . --env staging
    """
    import json
    from dataclasses import asdict

    from prodsprints.release import config

    if schema:
        click.echo(json.dumps(config.Config.json_schema(), indent=2))
        return
    found = config.load(path / config.FILE_NAME if path.is_dir() else path)
    for setting in found.effective(environment):
        note = "" if setting.enforced else "accepted, not enforced yet"
        out.line("setting", {**asdict(setting), "note": note})
        out.say(str(setting))
    for warning in found.warnings:
        out.line("warning", {"message": warning})
        if not out.json:
            out.note(f"warning: {warning}")
