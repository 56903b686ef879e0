"""`prodsprints login`: a link that logs a browser in."""

from __future__ import annotations

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.command("login")
@click.option("--open", "open_browser", is_flag=True, help="Open the link in a browser.")
@options.tenant
@options.as_json
def command(open_browser: bool, platform: Platform, out: Output) -> None:
    """A link that logs a browser in: good once, for a minute, and written to no log.

    \b
    Example: prodsprints login --open
    """
    link = platform.post("/login-links")
    out.line("login-link", link)
    out.say(link["url"])
    out.note("It can be used once, within a minute.")
    if open_browser:
        click.launch(link["url"])
