"""`prodsprints status`: what every environment serves; what is watched, and what the status page tells everybody."""

from __future__ import annotations

import math
from typing import Any

import click
from click.core import ParameterSource

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform
from prodsprints.kernel.errors import UsageError

_RECENT = 10
_LEVELS = {
    "up": ("works", "green"),
    "degraded": ("degraded", "yellow"),
    "down": ("down", "red"),
    "unknown": ("not measured", "dim"),
}
_COLOURS = {"released": "green", "running": "cyan", "queued": "cyan", "rolled_back": "yellow", "aborted": "yellow"}


@click.group("status", invoke_without_command=True)
@options.env
@options.project
@options.tenant
@options.as_json
@click.pass_context
def command(
    context: click.Context, environment: str | None, project: str | None, platform: Platform, out: Output
) -> None:
    """What every environment serves and at which address, and the newest releases.

    Its commands are about services that are watched, and the public status page.

    \b
    Example: prodsprints status --env production --json
    """
    if context.invoked_subcommand is not None:
        _refuse_options_before(context, context.invoked_subcommand)
        return
    from prodsprints.cli.choosing import fitting

    health = platform.get("/health")
    environments = fitting(platform.environments(), project=project, name=environment)
    shown = {entry["id"] for entry in environments}
    releases = [entry for entry in platform.releases(limit=50) if entry["environment_id"] in shown][:_RECENT]
    projects = [one for one in platform.projects() if one["name"] in {entry["project"] for entry in environments}]
    out.line("health", health)
    for entry in projects:
        out.line("project", entry)
    for entry in environments:
        out.line("environment", entry)
    for entry in releases:
        out.line("release", entry)
    if not out.json:
        _print(out, platform.address, health, environments, releases)
        for entry in projects:
            _print_mirrors(out, entry)


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


@command.command("services")
@options.tenant
@options.as_json
def services(platform: Platform, out: Output) -> None:
    """What is watched, how it was at the last look, and whether it is on the public status page.

    \b
    Example: prodsprints status services
    """
    found = platform.get("/services")["items"]
    for service in found:
        out.line("service", service)
    if not found:
        out.say("Nothing is watched yet: `prodsprints status watch NAME URL`.")
    elif not out.json:
        _print_services(out, found)


@command.command("watch")
@click.argument("name", metavar="NAME")
@click.argument("url", metavar="URL")
@click.option(
    "--expect", "expected", type=int, default=None, metavar="STATUS", help="Its status when it is well; any 2xx."
)
@click.option(
    "--every",
    "interval",
    type=float,
    default=None,
    metavar="SECONDS",
    help="Within this time its end is known; 30 if none is given.",
)
@click.option("--public", is_flag=True, help="Show it on the public status page.")
@options.tenant
@options.as_json
def watch(
    name: str, url: str, expected: int | None, interval: float | None, public: bool, platform: Platform, out: Output
) -> None:
    """Watch a service: URL is asked from the platform, several times in an interval.

    \b
    Example: prodsprints status watch Shop https://shop.example.com/health --public
    """
    told: dict[str, Any] = {"name": name, "url": url, "expected_status": expected, "public": public}
    if interval is not None:
        told["interval_seconds"] = _plain(interval)
    service = platform.post("/services", told)
    out.line("service", service)
    out.say(f"Watched: {service['name']}, every {service['interval_seconds']:g} s.")
    out.say(f"  {platform.address}/status   shows it" if public else f"  prodsprints status show {service['name']!r}")


@command.command("unwatch")
@click.argument("name", metavar="NAME")
@options.tenant
@options.as_json
def unwatch(name: str, platform: Platform, out: Output) -> None:
    """Stop watching a service; its history goes with it.

    \b
    Example: prodsprints status unwatch Shop
    """
    service = platform.delete(f"/services/{_named(platform, name)['id']}")
    out.line("service", service)
    out.say(f"{service['name']} is watched no longer.")


@command.command("show")
@click.argument("name", metavar="NAME")
@options.tenant
@options.as_json
def show(name: str, platform: Platform, out: Output) -> None:
    """Put a service on the public status page.

    \b
    Example: prodsprints status show Shop
    """
    service = platform.post(f"/services/{_named(platform, name)['id']}/show")
    out.line("service", service)
    out.say(f"{service['name']} is public: {platform.address}/status")


@command.command("hide")
@click.argument("name", metavar="NAME")
@options.tenant
@options.as_json
def hide(name: str, platform: Platform, out: Output) -> None:
    """Take a service off the public status page; it is watched as before.

    \b
    Example: prodsprints status hide Workers
    """
    service = platform.post(f"/services/{_named(platform, name)['id']}/hide")
    out.line("service", service)
    out.say(f"{service['name']} is not public.")


@command.command("publish")
@click.argument("incident_id", metavar="INCIDENT")
@click.option("--words", required=True, metavar="TEXT", help="What everybody is told.")
@click.option(
    "--stage",
    type=click.Choice(["investigating", "identified", "monitoring", "resolved"]),
    default="investigating",
    show_default=True,
    help="How far it is.",
)
@click.option("--title", default=None, metavar="TEXT", help="What it is called for everybody; its own title if none.")
@options.tenant
@options.as_json
def publish(incident_id: str, words: str, stage: str, title: str | None, platform: Platform, out: Output) -> None:
    """Tell everybody of an incident on the public status page, or tell them more.

    Only these words are shown there, and nothing else of the incident.

    \b
    Example: prodsprints status publish 3f0c… --stage identified --words "Logging in fails for some of you."
    """
    told = platform.post(f"/incidents/{incident_id}/publish", {"words": words, "stage": stage, "title": title})
    out.line("published", told)
    out.say(f"Everybody reads of {told['title']!r}: {platform.address}/status")


@command.command("withdraw")
@click.argument("incident_id", metavar="INCIDENT")
@options.tenant
@options.as_json
def withdraw(incident_id: str, platform: Platform, out: Output) -> None:
    """Take an incident off the public status page, with all that was told of it.

    \b
    Example: prodsprints status withdraw 3f0c…
    """
    incident = platform.post(f"/incidents/{incident_id}/withdraw")
    out.line("incident", incident)
    out.say("Nobody outside reads of it any more.")


def _refuse_options_before(context: click.Context, verb: str) -> None:
    """They would be taken for this group's own, and mean nothing to its command."""
    if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in context.params):
        raise click.UsageError(f"Give options after `{verb}`, not before it.")


def _plain(interval: float) -> float:
    """JSON has no word for what is no number; everything else the platform refuses itself."""
    if not math.isfinite(interval):
        raise UsageError(f"An interval of {interval:g} seconds is not possible.", next_step="Give one such as 30.")
    return interval


def _named(platform: Platform, name: str) -> dict[str, Any]:
    from prodsprints.kernel.validation import nearest

    wanted = " ".join(name.split()).casefold()
    found: list[dict[str, Any]] = platform.get("/services")["items"]
    for service in found:
        if service["name"].casefold() == wanted:
            return service
    raise UsageError(
        f"No service is called {name[:60]!r}{nearest(name, [one['name'] for one in found]) or '.'}",
        next_step="`prodsprints status services` lists them.",
    )


def _print_services(out: Output, found: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "service", "state", "last look", "public", "what was seen", box=None, header_style="dim", padding=(0, 2, 0, 0)
    )
    for one in found:
        name, style = _LEVELS[one["level"]]
        seen = (one["seen_at"] or "–")[:19].replace("T", " ")
        table.add_row(one["name"], Text(name, style=style), seen, "yes" if one["public"] else "no", Text(one["words"]))
    out.say(table)


def _print_mirrors(out: Output, project: dict[str, Any]) -> None:
    """The Git host that a project's node cannot reach, and what there is to go on from."""
    from rich.text import Text

    for mirror in project.get("mirrors") or ():
        if mirror["failing"]:
            as_of = f"the mirror is as of {mirror['fetched_at']}" if mirror["fetched_at"] else "there is no mirror yet"
            out.say(
                Text.assemble(
                    ("! ", "bold yellow"),
                    f"{project['name']}: {mirror['node']} could not fetch {project['repository']}; {as_of}. "
                    f"{mirror['failure']}",
                )
            )
