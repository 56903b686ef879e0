"""`prodsprints freeze`: leave a provider alone for a while, by hand."""

from __future__ import annotations

from urllib.parse import quote

import click

from prodsprints.cli import options
from prodsprints.cli.commands.dependencies import frozen
from prodsprints.cli.errors import BadArgumentsError
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.command("freeze")
@click.argument("provider")
@click.option("--for", "lasting", required=True, metavar="DURATION", help="For how long: 90s, 10m, 2h; a day at most.")
@click.option("--key", default=None, metavar="NAME", help="Only the quota of this key.")
@options.tenant
@options.as_json
def command(provider: str, lasting: str, key: str | None, platform: Platform, out: Output) -> None:
    """Have no process of the platform call a provider for a while. Audited; `prodsprints thaw` ends it early.

    \b
    Example: prodsprints freeze github --for 10m
    """
    from prodsprints.release.config.units import Seconds

    try:
        seconds = float(Seconds.parse(lasting))
    except ValueError as error:
        raise BadArgumentsError(f"--for {error}", next_step="Say for how long, such as 10m.") from None
    one = platform.post(f"/dependencies/{quote(provider, safe='')}/freeze", {"seconds": seconds, "key": key})
    out.line("dependency", one)
    out.say(f"{provider} is frozen: {frozen(one)}.")
