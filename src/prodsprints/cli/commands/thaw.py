"""`prodsprints thaw`: call a frozen provider again."""

from __future__ import annotations

from urllib.parse import quote

import click

from prodsprints.cli import options
from prodsprints.cli.commands.dependencies import frozen
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.command("thaw")
@click.argument("provider")
@click.option("--key", default=None, metavar="NAME", help="Only the quota of this key.")
@options.tenant
@options.as_json
def command(provider: str, key: str | None, platform: Platform, out: Output) -> None:
    """Have the platform call a frozen provider again, at the rate of its limit. Audited.

    A provider that asked for the pause may throttle again.

    \b
    Example: prodsprints thaw github --key main
    """
    one = platform.post(f"/dependencies/{quote(provider, safe='')}/thaw", {"key": key})
    out.line("dependency", one)
    left = frozen(one)
    out.say(f"{provider} is called again." if not left else f"{provider} is still frozen: {left}.")
