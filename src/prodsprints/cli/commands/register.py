"""`prodsprints register`: the risks as they are claimed and proven, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output

if TYPE_CHECKING:
    from prodsprints.register.model import Risk
    from prodsprints.register.register import Register

_risks = click.option(
    "--risks",
    type=click.Path(path_type=Path),
    callback=options.absolute,
    metavar="FOLDER",
    help="A folder of your own risks: FOLDER/<name>/risk.yaml.",
)


@click.group("register", invoke_without_command=True)
@click.option(
    "--svg",
    type=click.Path(path_type=Path),
    callback=options.absolute,
    metavar="FILE",
    help="Write the heat map there.",
)
@_risks
@options.as_json
@click.pass_context
def command(ctx: click.Context, svg: Path | None, risks: Path | None, out: Output) -> None:
    """The risks by level and probability, and the line that counts claims and proofs.

    \b
    Example: prodsprints register --svg heatmap.svg
    """
    if ctx.invoked_subcommand is not None:
        return
    from prodsprints.kernel import clock, files
    from prodsprints.register import export, heatmap

    register = _load(risks)
    if svg is not None:
        files.replace(svg, heatmap.svg(register).encode(), mode=0o644, durable=False)
        out.line("file", {"path": str(svg)})
        out.say(f"Wrote {svg}.")
        return
    today = clock.now().date()
    if out.json:
        out.line("register", export.as_json(register, today=today))
        return
    console = out.console
    click.echo(heatmap.text(register, min(console.width, 120), colour=console.is_terminal))
    out.say(str(register.summary(today)))


@command.command("show")
@click.argument("risk_id", metavar="ID")
@_risks
@options.as_json
def show(risk_id: str, risks: Path | None, out: Output) -> None:
    """One risk with its rows, each with what is claimed and what it lacks before it could be proven.

    \b
    Example: prodsprints register show R001
    """
    from prodsprints.register import export

    risk = _load(risks).risk(risk_id.upper())
    if out.json:
        out.line("risk", export.risk_as_json(risk))
    else:
        _print(out, risk)


def _load(risks: Path | None) -> Register:
    from prodsprints.register.load import load

    return load(risks)


def _print(out: Output, risk: Risk) -> None:
    from rich.table import Table
    from rich.text import Text

    out.say(Text(f"{risk.id}  {risk.title}", style="bold"))
    out.say(
        f"{risk.category} · level {risk.level} · probability {int(risk.probability)} ({risk.probability.share})"
        f" · rated {risk.rating} · owner {risk.owner} · reviewed {risk.review}"
    )
    out.say()
    out.say(Text(risk.description.strip()))
    out.say(Text(f"Impact: {risk.impact.strip()}"))
    out.say()
    rows = Table("row", "claim", "status", "lacks", "mitigation", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for row in risk.mitigations:
        rows.add_row(row.id, str(row.claim), "unproven", ", ".join(map(str, row.lacks)) or "–", Text(row.title))
    out.say(rows)
