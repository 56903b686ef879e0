"""`prodsprints web`: the API and the pages."""

from __future__ import annotations

import click


@click.command("web")
def command() -> None:
    """Serve /v1 and the pages at PRODSPRINTS_HOST and PRODSPRINTS_PORT.

    \b
    Example: PRODSPRINTS_PORT=8901 prodsprints web
    """
    from prodsprints.cli.running import database, logs
    from prodsprints.kernel.settings import Settings
    from prodsprints.store import migrate
    from prodsprints.web import server

    logs.configure()
    settings = Settings.from_environment()
    address = database.address(settings)
    migrate.check(address)
    server.serve(settings, address)
