"""`prodsprints project`: which projects there are, and how one is deleted and brought back."""

from __future__ import annotations

import time
from typing import Any

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform

_SILENT_SECONDS = 60.0
_LOOK_SECONDS = 0.5


@click.group("project")
def command() -> None:
    """The projects of this platform: list them, delete one, and bring it back whole.

    \b
    Example: prodsprints project list --deleted
    """


@command.command("list")
@click.option("--deleted", is_flag=True, help="Those that were deleted and can be brought back.")
@options.tenant
@options.as_json
def list_(deleted: bool, platform: Platform, out: Output) -> None:
    """Every project with its repository and environments.

    \b
    Example: prodsprints project list --deleted
    """
    found = platform.projects(deleted=deleted)
    for project in found:
        out.line("project", project)
    if not found:
        out.say("Nothing is deleted." if deleted else "There is no project yet. `prodsprints release PATH` makes one.")
    elif not out.json:
        _print(out, found)


@command.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.tenant
@options.as_json
def delete(name: str, yes: bool, platform: Platform, out: Output) -> int:
    """Delete a project: it disappears everywhere and its addresses fall silent. It can be brought back whole.

    Refused while a release of it is under way. With --json nothing is asked.

    \b
    Example: prodsprints project delete shop
    """
    if not (yes or out.json):
        question = f"Delete {name}? It disappears everywhere, and its addresses fall silent; it can be brought back."
        if not click.confirm(question, err=True):
            out.say("Nothing was deleted.")
            return 0
    deleted = _silent(platform, name, platform.delete(f"/projects/{name}"))
    out.line("project", deleted)
    out.say(f"{name} is deleted. It can be brought back at least until {deleted['kept_until'][:10]}:")
    out.say(f"  prodsprints project undelete {name}")
    if not deleted["withdrawn"]:
        out.say("It still answers at its address: no worker has taken it out of service yet.")
    return 0


@command.command("undelete")
@click.argument("name")
@click.option("--follow/--no-follow", default=True, show_default=True, help="Wait until it serves again.")
@options.tenant
@options.as_json
def undelete(name: str, follow: bool, platform: Platform, out: Output) -> int:
    """Bring a deleted project back: its releases, their evidence, and what it served, at the same addresses.

    \b
    Example: prodsprints project undelete shop
    """
    from prodsprints.cli import following

    answer = platform.post(f"/projects/{name}/undelete")
    out.line("project", answer["project"])
    out.say(f"{name} is back.")
    codes = [0]
    for release in answer["releases"]:
        if follow:
            codes.append(following.follow(platform, release, out))
            continue
        out.line("release", release)
        out.say(f"Queued: {release['label']} serves {release['environment']} again, release {release['id']}.")
    return max(codes)


def _silent(platform: Platform, name: str, deleted: dict[str, Any]) -> dict[str, Any]:
    """The deleted project once nothing of it answers any more, or as it is when that takes too long."""
    deadline = time.monotonic() + _SILENT_SECONDS
    while not deleted["withdrawn"] and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        deleted = next((one for one in platform.projects(deleted=True) if one["name"] == name), deleted)
    return deleted


def _print(out: Output, projects: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("project", "environments", "repository", box=None, header_style="dim", padding=(0, 2, 0, 0))
    if projects[0]["deleted_at"]:
        table.add_column("deleted")
        table.add_column("kept until")
    for project in projects:
        row = [project["name"], ", ".join(project["environments"]), project["repository"]]
        if project["deleted_at"]:
            row += [f"{project['deleted_at'][:10]} by {project['deleted_by']}", project["kept_until"][:10]]
        table.add_row(*row)
    out.say(table)
