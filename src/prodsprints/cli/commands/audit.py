"""`prodsprints audit`: what a repository is and whether it can be released; reads files, runs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.kernel.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from prodsprints.release.audit import Audit


@click.command("audit")
@options.repository
@options.env
@options.as_json
def command(path: Path, environment: str | None, out: Output) -> int:
    """What the repository at PATH is, each finding with file, line and confidence. Nothing of it is run.

    Exit codes: 0 it can be released, 3 it cannot yet, and the reason is said.

    \b
    Example: prodsprints audit ~/app
    """
    found = run(path, environment)
    out.line("audit", found.as_json())
    if not out.json:
        for part in rendered(found):
            out.say(part)
        if found.application is not None:
            out.say(f"\nNext: prodsprints release {path}")
    return ExitCode.DONE if found.application is not None else ExitCode.REFUSED


def run(path: Path, environment: str | None = None, *, regardless: bool = False) -> Audit:
    """The audit of the repository at `path` under its own prodsprints.yaml, or `regardless` of what that says."""
    from prodsprints.release import config
    from prodsprints.release.audit import audit

    if regardless:
        return audit(path)
    return audit(path, config.load(path / config.FILE_NAME).for_environment(environment))


def rendered(found: Audit) -> list[RenderableType]:
    """The audit for people: findings, the application, what is open, and what stands against a release."""
    import shlex

    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    if found.findings:
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("found", no_wrap=True)
        table.add_column("")
        table.add_column("where", style="cyan", no_wrap=True)
        table.add_column("sure", justify="right")
        for finding in found.findings:
            value = Text(finding.value)
            if finding.note:
                value.append(f"  {finding.note}", style="dim")
            table.add_row(finding.key, value, Text(finding.place), f"{finding.confidence:.0%}")
        parts.append(table)
    application = found.application
    if application is not None:
        parts.append(Text(f"\n✓ {application.name} can be released: {application.framework}.", style="green"))
        health = "any answer below 500" if application.health_any else application.health_path
        how = Table.grid(padding=(0, 2))
        for name, words in (
            ("  serves with", shlex.join(application.web)),
            ("  healthy when", health),
            ("  tested with", shlex.join(application.test)),
            ("  migrated with", shlex.join(application.migrate)),
        ):
            if words:
                how.add_row(name, Text(words))
        parts.append(how)
    for question in found.questions:
        default = f" (as it stands: {question.options[0]})" if question.options else ""
        parts.append(Text(f"? {question.text}{default}  [{question.key}]", style="yellow"))
    for refusal in found.refusals:
        where = f" ({refusal.place})" if refusal.place else ""
        parts.append(Text(f"✗ {refusal.reason}{where}", style="red"))
        parts.append(Text(f"→ {refusal.next_step}"))
    return parts
