"""`prodsprints drill`: break one real thing on purpose, and see whether its control holds."""

from __future__ import annotations

from pathlib import Path

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.group("drill")
def command() -> None:
    """Break one real thing on purpose: once with its control in place, and once without.

    \b
    Example: prodsprints drill run R001.1
    """


@command.command("list")
@options.tenant
@options.as_json
def list_(platform: Platform, out: Output) -> None:
    """Every drill: its row, what it breaks, how safe it is, and how it ended last.

    \b
    Example: prodsprints drill list --json
    """
    from prodsprints.cli import drilling

    found = platform.get("/drills")["items"]
    for drill in found:
        out.line("drill", drill)
    out.say(drilling.table(found) if found else "No row names a drill yet. `prodsprints drill new FOLDER` begins one.")


@command.command("run")
@click.argument("row")
@click.option("--variant", metavar="NAME", help="Which of the row's drills; its first if none is named.")
@click.option("--env", "environment", default="demo", show_default=True, metavar="NAME", help="Where it is to hold.")
@options.tenant
@options.as_json
def run(row: str, variant: str | None, environment: str, platform: Platform, out: Output) -> int:
    """Run the drill of ROW and follow both of its arms to the verdict.

    Exit codes: 0 the control held, 1 it did not or there is no verdict. Ctrl-C stops following, not the drill.

    \b
    Example: prodsprints drill run R001.1 --variant throttling-storm
    """
    from prodsprints.cli import drilling

    wanted = {"environment": environment, **({"variant": variant} if variant else {})}
    started = platform.post(f"/drills/{row}/runs", wanted)
    out.note(f"{started['row']} {started['variant']} in {started['environment']}")
    out.note(f"{platform.address}/drill-runs/{started['id']}")
    return drilling.follow(platform, started, out)


@command.command("new")
@click.argument("folder", type=click.Path(path_type=Path), callback=options.absolute, metavar="FOLDER")
@click.option("--row", default="X001.1", show_default=True, help="The row that it is to prove.")
@options.as_json
def new(folder: Path, row: str, out: Output) -> None:
    """Write an experiment into FOLDER that works as it is: a control, its drill, and comments on each piece.

    \b
    Example: prodsprints drill new risks/payments --row X001.1
    """
    from prodsprints.drills import skeleton

    for path in skeleton.write(folder, row=row):
        out.line("written", {"path": str(path)})
        out.say(f"Written: {path}")
    out.say(f"Try it: python {folder / 'drills.py'}")


@command.command("mutate")
@click.argument("rows", nargs=-1, metavar="[ROW]...")
@click.option("--most", default=60, show_default=True, help="How many damages to try for each row, at the most.")
@click.option("--seed", default=1, show_default=True, help="Which of them are drawn.")
@click.option(
    "--at-once", default=2, show_default=True, type=click.IntRange(1, 64), help="How many are drilled at the same time."
)
@options.as_json
def mutate(rows: tuple[str, ...], most: int, seed: int, at_once: int, out: Output) -> int:
    """Damage copies of the controls of ROW (all rows, if none is named), and see whether their drills notice.

    Works without a platform, on a PostgreSQL of its own. Exit code 1 if fewer than 90 % of those were noticed that
    change what a control does, or an author's own patch was not.

    \b
    Example: prodsprints drill mutate R001.1 --most 20
    """
    from prodsprints.cli import drilling

    reports = drilling.mutate(rows, most=most, seed=seed, at_once=at_once, note=out.note)
    good = True
    for report in reports:
        out.line("mutation", report.as_json())
        out.say(report.as_text())
        good = good and report.is_good
    return 0 if good else 1
