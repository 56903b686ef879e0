"""`prodsprints unlock`: take a stuck lease on an environment away."""

from __future__ import annotations

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.command("unlock")
@click.option("--force", is_flag=True, help="Also from a holder that is alive; its release is aborted.")
@options.env
@options.project
@options.tenant
@options.as_json
def command(force: bool, environment: str | None, project: str | None, platform: Platform, out: Output) -> None:
    """Take the lease on an environment away, so that the next release can begin.

    A dead holder's lease ends by itself within seconds. Exit code 5: the holder is alive, and --force was not given.

    \b
    Example: prodsprints unlock --project shop --force
    """
    chosen = platform.environment(project=project, name=environment)
    answer = platform.post(f"/environments/{chosen['id']}/unlock", {"force": force})
    out.line("unlock", answer)
    where = f"{chosen['project']}/{chosen['name']}"
    lease = answer["lease"]
    out.say(f"{where} is unlocked; {lease['owner']} held it." if lease else f"{where} was not locked.")
