"""`prodsprints logs`: what the application that serves an environment has written."""

from __future__ import annotations

import sys
import time

import click

from prodsprints.cli import options
from prodsprints.cli.errors import ApiError, NotRunningError
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0
_TAIL_BYTES = 16_384


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@options.env
@options.project
@options.tenant
@options.as_json
def command(follow: bool, environment: str | None, project: str | None, platform: Platform, out: Output) -> None:
    """The last output of the application that serves an environment; secrets in it are redacted.

    \b
    Example: prodsprints logs -f --project shop
    """
    chosen = platform.environment(project=project, name=environment)
    address = f"/environments/{chosen['id']}/log"
    part = platform.get(address, after=-_TAIL_BYTES)
    _show(out, part)
    answered = time.monotonic()
    while follow:
        time.sleep(0 if part["text"] else _POLL_SECONDS)
        try:
            part = platform.get(address, after=part["next"])
        except (NotRunningError, ApiError):  # the platform is being restarted; the application writes on
            if time.monotonic() - answered > _PATIENCE_SECONDS:
                raise
            continue
        answered = time.monotonic()
        _show(out, part)


def _show(out: Output, part: dict[str, object]) -> None:
    if not part["text"]:
        return
    out.line("log", part)
    if not out.json:
        sys.stdout.write(str(part["text"]))
        sys.stdout.flush()
