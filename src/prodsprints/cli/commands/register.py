"""`prodsprints register`: the risks as they are claimed and proven; import, export, the gate, reviews."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform

_SHOWN_WARNINGS = 20
_COLOURS = {"proven": "green", "attested": "green", "stale": "yellow", "unproven": "dim"}

_risks = click.option(
    "--risks",
    type=click.Path(path_type=Path),
    callback=options.absolute,
    metavar="FOLDER",
    help="A folder of your own risks: FOLDER/<name>/risk.yaml. Shows what it claims.",
)
_env = click.option(
    "--env", "environment", default=None, metavar="NAME", help="The environment; `demo` if none is named."
)
_file = click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=options.absolute,
    metavar="FILE",
    help="Write it there instead of to the terminal.",
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
@_env
@options.tenant
@options.as_json
@click.pass_context
def command(
    ctx: click.Context, svg: Path | None, risks: Path | None, environment: str | None, platform: Platform, out: Output
) -> None:
    """The risks by level and probability as they lie today, and the line that counts claims and proofs.

    \b
    Example: prodsprints register --svg heatmap.svg
    """
    if ctx.invoked_subcommand is not None:
        return
    from prodsprints.cli import registers
    from prodsprints.kernel import files
    from prodsprints.register import heatmap

    shown = registers.whole(platform, environment=environment, risks=risks)
    if svg is not None:
        files.replace(svg, heatmap.svg(registers.as_today(shown.answer)).encode(), mode=0o644, durable=False)
        out.line("file", {"path": str(svg)})
        out.say(f"Wrote {svg}.")
        return
    out.line("register", shown.answer | {"live": shown.live})
    if out.json:
        return
    console = out.console
    today = registers.as_today(shown.answer)
    click.echo(heatmap.text(today, min(console.width, 120), colour=console.is_terminal))
    out.say(shown.answer["summary"]["text"])
    if shown.live:
        out.say(f"{shown.answer['closing_line'].rstrip('.')} in {shown.answer['environment']}.")
    else:
        out.note(registers.CLAIMS_ONLY)


@command.command("show")
@click.argument("risk_id", metavar="ID")
@_risks
@_env
@options.tenant
@options.as_json
def show(risk_id: str, risks: Path | None, environment: str | None, platform: Platform, out: Output) -> None:
    """One risk with its rows, each with what is claimed beside what is known of it.

    \b
    Example: prodsprints register show R001
    """
    from prodsprints.cli import registers

    shown = registers.one(platform, risk_id.upper(), environment=environment, risks=risks)
    out.line("risk", shown.answer | {"live": shown.live})
    if out.json:
        return
    _print_risk(out, shown.answer)
    if not shown.live:
        out.note(registers.CLAIMS_ONLY)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.md")
@options.tenant
@options.as_json
def import_(file: Path, platform: Platform, out: Output) -> None:
    """Make a risk document in Markdown your register: each of its ticks is a claim, and none is proven by that.

    What cannot be read is named with its line, and then nothing is imported.

    \b
    Example: prodsprints register import RISKS.md
    """
    came = platform.post("/register/import", {"markdown": _read(file)})
    out.line("import", came)
    for warning in came["warnings"][:_SHOWN_WARNINGS]:
        out.note(f"{file.name}, {warning}")
    if (more := len(came["warnings"]) - _SHOWN_WARNINGS) > 0:
        out.note(f"… and {more} more; --json has them all.")
    out.say(
        f"Risks: {came['risks']}. Mitigations: {came['mitigations']}, claimed to be implemented: {came['claimed']}, "
        f"joined to our controls: {came['joined']}."
    )
    out.say("Nothing is proven by a claim: `prodsprints register` shows how things stand.")


@command.command("export")
@click.option(
    "--markdown", "form", flag_value="markdown", default="markdown", help="The document (this if none is named)."
)
@click.option("--html", "form", flag_value="html", help="A page of its own, to be read or printed anywhere.")
@click.option("--json", "form", flag_value="json", help="For programs: the register with every status.")
@_file
@_env
@options.tenant
def export(form: str, output: Path | None, environment: str | None, platform: Platform) -> None:
    """Write the risk document back from live data: behind each claim what is known of it, at the end what is true.

    Importing the Markdown again gives the same document.

    \b
    Example: prodsprints register export --html --output register.html
    """
    from prodsprints.kernel import files

    text = platform.text("/register/export", format=form, environment=environment)
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        files.replace(output, text.encode(), mode=0o644, durable=False)
        click.echo(f"Wrote {output}.", err=True)


@command.command("gate")
@click.option("--junit", is_flag=True, help="Answer as JUnit XML, for CI.")
@click.option("--require", multiple=True, metavar="WHAT", help="Must be proven too: a row, a risk or a level.")
@_env
@options.tenant
@options.as_json
def gate(junit: bool, require: tuple[str, ...], environment: str | None, platform: Platform, out: Output) -> int:
    """Whether a release may pass the register as it stands. Exit code 3: it may not, and what keeps it is named.

    \b
    Example: prodsprints register gate --env production --require critical --junit > register.xml
    """
    from prodsprints.kernel.errors import ExitCode

    asked = {"environment": environment, "require": require}
    answer = platform.get("/register/gate", format="json", **asked)
    out.line("gate", answer)
    if not out.json:
        form = "junit" if junit else "text"
        click.echo(platform.text("/register/gate", format=form, **asked), nl=False)
    return ExitCode.DONE if answer["open"] else ExitCode.REFUSED


@command.command("schema")
def schema() -> None:
    """The JSON Schema of `risk.yaml`, for your editor.

    \b
    Example: prodsprints register schema > risk.schema.json
    """
    import json

    from prodsprints.register.schema import schema

    click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))


@command.command("reviews")
@_env
@options.tenant
@options.as_json
def reviews(environment: str | None, platform: Platform, out: Output) -> None:
    """When each review is due, what is on the agenda of the next, and what was decided in the last.

    \b
    Example: prodsprints register reviews
    """
    answer = platform.get("/reviews", environment=environment)
    for planned in answer["schedule"]:
        out.line("planned-review", planned)
    for held in answer["items"]:
        out.line("review", held)
    if not out.json:
        _print_reviews(out, answer)


def _read(file: Path) -> str:
    from prodsprints.kernel.errors import UsageError
    from prodsprints.register.markdown.text import MAX_BYTES, decoded

    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", next_step="Give a Markdown file.") from None
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{file} is larger than {MAX_BYTES:,} bytes.", next_step="Give a document, without images.")
    return decoded(raw)


def _print_risk(out: Output, risk: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from prodsprints.register.rating import Probability

    probability = Probability(risk["probability"])
    out.say(Text(f"{risk['id']}  {risk['title']}", style="bold"))
    out.say(
        f"{risk['category']} · level {risk['level']} · probability {int(probability)} ({probability.share})"
        f" · rated {risk['rating']} · owner {risk['owner']} · reviewed {risk['review']}"
    )
    if "residual" in risk:
        accepted = ", and accepted as it is" if risk["treatment"] == "accept" else ""
        out.say(f"today rated {risk['residual']['rating']}, with what is proven{accepted}")
    out.say()
    out.say(Text(risk["description"].strip()))
    out.say(Text(f"Impact: {risk['impact'].strip()}"))
    out.say()
    columns = ("row", "claim", "status", "mitigation", "why" if "residual" in risk else "lacks")
    rows = Table(*columns, box=None, header_style="dim", padding=(0, 2, 0, 0))
    for row in risk["mitigations"]:
        status = row.get("status", "unproven")
        why = row.get("reason") or ", ".join(row["lacks"]) or "–"
        shown = Text(status, style=_COLOURS.get(status, "red"))
        rows.add_row(row["id"], row["claim"], shown, Text(row["title"]), Text(why))
    out.say(rows)


def _print_reviews(out: Output, answer: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("review", "of", "due", "last held", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for planned in answer["schedule"]:
        due = planned["due"] or "after the first review"
        shown = Text(f"{due}, overdue", style="red") if planned["is_overdue"] else Text(due)
        table.add_row(planned["kind"], planned["of"], shown, planned["last"] or "never")
    out.say(table)
    for point in answer.get("agenda", []):
        out.say(Text(f"· {point['about']}: {point['words']}"))
    for held in answer["items"][:3]:
        out.say()
        out.say(Text(f"{held['kind']}, {held['at'][:10]}, recorded by {held['person']}", style="bold"))
        out.say(Text(held["decisions"]))
