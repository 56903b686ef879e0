"""`prodsprints status`: what every environment serves, and what is being released."""

from __future__ import annotations

from typing import Any

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform

_RECENT = 10
_COLOURS = {"released": "green", "running": "cyan", "queued": "cyan", "rolled_back": "yellow", "aborted": "yellow"}


@click.command("status")
@options.env
@options.project
@options.tenant
@options.as_json
def command(environment: str | None, project: str | None, platform: Platform, out: Output) -> None:
    """What every environment serves and at which address, and the newest releases.

    \b
    Example: prodsprints status --env production --json
    """
    from prodsprints.cli.choosing import fitting

    health = platform.get("/health")
    environments = fitting(platform.environments(), project=project, name=environment)
    shown = {entry["id"] for entry in environments}
    releases = [entry for entry in platform.releases(limit=50) if entry["environment_id"] in shown][:_RECENT]
    out.line("health", health)
    for entry in environments:
        out.line("environment", entry)
    for entry in releases:
        out.line("release", entry)
    if not out.json:
        _print(out, platform.address, health, environments, releases)


def _print(out: Output, address: str, health: dict[str, Any], environments: list[Any], releases: list[Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    out.say(f"{address}   node {health['node']} · database {health['database']} · workers {health['workers']}")
    if not environments:
        out.say("Nothing is released here. `prodsprints release PATH` releases a repository.")
        return
    serving = Table("environment", "serves", "address", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for entry in environments:
        serves = Text("–" if entry.get("withdrawn") else entry["current_label"] or "–", style="bold")
        serving.add_row(f"{entry['project']}/{entry['name']}", serves, entry["address"] or "–")
    out.say()
    out.say(serving)
    newest = Table("release", "commit", "to", "status", "reason", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for entry in releases:
        newest.add_row(
            entry["label"],
            entry["commit"][:12],
            f"{entry['project']}/{entry['environment']}",
            Text(entry["status"].replace("_", " "), style=_COLOURS.get(entry["status"], "red")),
            Text(entry["reason"], overflow="ellipsis", no_wrap=True),
        )
    out.say()
    out.say(newest)
