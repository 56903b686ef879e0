"""`prodsprints bench`: run a benchmark beside its named peers."""

from __future__ import annotations

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output


@click.command("bench")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.as_json
def command(names: tuple[str, ...], out: Output) -> None:
    """Run the benchmarks NAME (all of them if none is named); each case is one line with our figure and its peers'.

    \b
    Example: prodsprints bench canary --json
    """
    from prodsprints import bench

    for name in names or tuple(bench.BENCHES):
        bench.run(name, json=out.json)
