"""`prodsprints promote`: give a running canary all traffic at once."""

from __future__ import annotations

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.command("promote")
@options.env
@options.project
@options.tenant
@options.as_json
def command(environment: str | None, project: str | None, platform: Platform, out: Output) -> None:
    """Give the running canary of an environment all traffic, without waiting for its verdict.

    \b
    Example: prodsprints promote --project shop
    """
    chosen = platform.environment(project=project, name=environment)
    running = platform.running_release(chosen)
    answer = platform.post(f"/releases/{running['id']}/promote")
    out.line("release", answer)
    out.say(f"{running['project']} {running['label']} gets all traffic now.")
