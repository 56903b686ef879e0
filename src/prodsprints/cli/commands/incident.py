"""`prodsprints incident`: a risk that happened: declare it, link the drill that reproduces it, close it."""

from __future__ import annotations

from typing import Any

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform

_env = click.option(
    "--env", "environment", default=None, metavar="NAME", help="The environment; `demo` if none is named."
)


@click.group("incident")
def command() -> None:
    """A risk that happened. It contradicts what was proven, until a changed drill that reproduces it is held.

    \b
    Example: prodsprints incident list
    """


@command.command("declare")
@click.argument("risk", metavar="RISK")
@click.option(
    "--row", "rows", multiple=True, metavar="ID", help="Only these rows are contradicted; all of the risk's if none."
)
@click.option("--title", required=True, metavar="TEXT", help="What it is called.")
@click.option("--what", required=True, metavar="TEXT", help="What happened, in your words.")
@click.option("--security", is_flag=True, help="It broke security: counted among the security incidents.")
@_env
@options.tenant
@options.as_json
def declare(
    risk: str,
    rows: tuple[str, ...],
    title: str,
    what: str,
    security: bool,
    environment: str | None,
    platform: Platform,
    out: Output,
) -> None:
    """Say that a risk happened. Its rows, or those named, count as contradicted from now on.

    \b
    Example: prodsprints incident declare R001 --title "Throttled for an hour" --what "All deployments stood still."
    """
    told = {
        "risk": risk.upper(),
        "rows": [row.upper() for row in rows],
        "title": title,
        "what_happened": what,
        "security": security,
    }
    if environment is not None:
        told["environment"] = environment
    incident = platform.post("/incidents", told)
    out.line("incident", incident)
    out.say(f"Declared {incident['id']}: {incident['risk']} happened in {incident['environment']}.")
    out.say(
        f"  prodsprints incident link {incident['id']} --row {incident['risk']}.… --variant …   once a drill shows it"
    )
    out.say(f"  prodsprints incident close {incident['id']} --outcome …   once it is over")


@command.command("list")
@_env
@options.tenant
@options.as_json
def list_(environment: str | None, platform: Platform, out: Output) -> None:
    """The incidents, newest first, and whether each is closed.

    \b
    Example: prodsprints incident list --env production
    """
    incidents = platform.get("/incidents", environment=environment)["items"]
    for incident in incidents:
        out.line("incident", incident)
    if not incidents:
        out.say("No incident was declared here.")
    elif not out.json:
        _print(out, incidents)


@command.command("link")
@click.argument("incident_id", metavar="INCIDENT")
@click.option("--row", required=True, metavar="ID", help="The row whose drill it is.")
@click.option("--variant", required=True, metavar="NAME", help="The drill that reproduces what happened.")
@options.tenant
@options.as_json
def link(incident_id: str, row: str, variant: str, platform: Platform, out: Output) -> None:
    """Name the drill that reproduces an incident: once a changed one is held, the incident contradicts no longer.

    \b
    Example: prodsprints incident link 3f0c… --row R001.1 --variant throttling-storm
    """
    incident = platform.post(f"/incidents/{incident_id}/link", {"row": row.upper(), "variant": variant})
    out.line("incident", incident)
    out.say(f"Linked. Change what failed, then drill it: prodsprints drill run {row.upper()} --variant {variant}")


@command.command("close")
@click.argument("incident_id", metavar="INCIDENT")
@click.option("--outcome", required=True, metavar="TEXT", help="What came of it, and what was changed.")
@options.tenant
@options.as_json
def close(incident_id: str, outcome: str, platform: Platform, out: Output) -> None:
    """Close an incident with its outcome. That ends the incident; only a drill ends the contradiction.

    \b
    Example: prodsprints incident close 3f0c… --outcome "Quota raised; the retry budget was too small."
    """
    incident = platform.post(f"/incidents/{incident_id}/close", {"outcome": outcome})
    out.line("incident", incident)
    out.say(f"Closed {incident['title']!r}.")


def _print(out: Output, incidents: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    columns = ("incident", "risk", "environment", "declared", "state", "title")
    table = Table(*columns, box=None, header_style="dim", padding=(0, 2, 0, 0))
    for one in incidents:
        state = "closed" if one["closed_at"] else "open"
        shown = Text(
            state if one["is_signed"] else "not signed: without effect", style="" if state == "closed" else "red"
        )
        table.add_row(one["id"], one["risk"], one["environment"], one["declared_at"][:10], shown, Text(one["title"]))
    out.say(table)
