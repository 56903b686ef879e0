"""`prodsprints rollback`: let an environment serve the version before the current one again."""

from __future__ import annotations

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.command("rollback")
@click.option("--follow/--no-follow", default=True, show_default=True, help="Show the rollback until it has ended.")
@options.env
@options.project
@options.tenant
@options.as_json
def command(follow: bool, environment: str | None, project: str | None, platform: Platform, out: Output) -> int:
    """Let an environment serve the version before the current one again, from the image that is still there.

    The database is never downgraded: migrations only ever expand.

    \b
    Example: prodsprints rollback --project shop --env production
    """
    from prodsprints.cli import following

    chosen = platform.environment(project=project, name=environment)
    release = platform.post(f"/environments/{chosen['id']}/rollback")
    if not follow:
        out.line("release", release)
        out.say(f"Queued: back to {release['label']}, release {release['id']}.")
        return 0
    out.note(f"{release['project']} back to {release['label']} in {release['environment']}")
    return following.follow(platform, release, out)
