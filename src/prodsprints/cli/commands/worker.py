"""`prodsprints worker`: one more worker against one PostgreSQL."""

from __future__ import annotations

import click


@click.command("worker")
def command() -> None:
    """Run releases that wait on this machine's node, and take over from workers that died.

    Run as many as wanted; PRODSPRINTS_DATABASE_URL names the PostgreSQL that they share.

    \b
    Example: PRODSPRINTS_DATABASE_URL=postgresql://app@db/prodsprints prodsprints worker
    """
    from prodsprints.cli.running import database, logs
    from prodsprints.kernel.settings import Settings
    from prodsprints.release import worker
    from prodsprints.store import migrate

    logs.configure()
    settings = database.with_admin(Settings.from_environment())
    address = database.address(settings)
    migrate.check(address)
    worker.serve(settings, address)
