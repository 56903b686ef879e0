"""`prodsprints abort`: stop the running release of an environment; the version before it stays."""

from __future__ import annotations

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.command("abort")
@options.env
@options.project
@options.tenant
@options.as_json
def command(environment: str | None, project: str | None, platform: Platform, out: Output) -> None:
    """Stop the running release of an environment; the version that served before stays.

    \b
    Example: prodsprints abort --project shop
    """
    chosen = platform.environment(project=project, name=environment)
    running = platform.running_release(chosen)
    answer = platform.post(f"/releases/{running['id']}/abort")
    out.line("release", answer)
    out.say(f"{running['project']} {running['label']} is asked to stop; the version before it stays.")
