"""`prodsprints release`: queue a release of a commit and follow it to its end."""

from __future__ import annotations

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.command("release")
@options.place
@click.option(
    "--ref",
    metavar="REF",
    help="The commit, tag or branch; by default HEAD of a clean tree, or the host's default branch.",
)
@click.option("--strategy", type=click.Choice(["canary", "direct"]), help="Instead of what prodsprints.yaml says.")
@click.option("--follow/--no-follow", default=True, show_default=True, help="Show the release until it has ended.")
@options.env
@options.project
@options.tenant
@options.as_json
def command(
    path: str,
    ref: str | None,
    strategy: str | None,
    follow: bool,
    environment: str | None,
    project: str | None,
    platform: Platform,
    out: Output,
) -> int:
    """Release a commit of the repository at PLACE: gates, image, canary, verdict; it goes back by itself.

    PLACE is a path on this machine, or a remote repository's https:// address. While its host is down, a tag or a full
    commit id is released from the local mirror, and the release says so.

    Exit codes: 0 released, 1 failed, 3 refused, 6 rolled back. Ctrl-C stops following, not the release.

    \b
    Example: prodsprints release ~/app --ref v2 --env staging
             prodsprints release https://github.com/acme/shop.git --ref v2
    """
    from prodsprints.cli import following

    wanted = {"path": path, "ref": ref, "environment": environment, "project": project, "strategy": strategy}
    release = platform.post("/releases", {name: value for name, value in wanted.items() if value is not None})
    if not follow:
        out.line("release", release)
        out.say(f"Queued: {release['project']} {release['label']} → {release['environment']}, release {release['id']}.")
        return 0
    out.note(f"{release['project']} {release['label']} → {release['environment']}")
    out.note(f"{platform.address}/releases/{release['id']}")
    return following.follow(platform, release, out)
