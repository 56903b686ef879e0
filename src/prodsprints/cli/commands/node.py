"""`prodsprints node`: the node agent of this machine."""

from __future__ import annotations

import click


@click.command("node")
def command() -> int:
    """Own this machine's applications, Envoy and routes; SIGTERM ends the agent only, they go on.

    \b
    Example: prodsprints node
    """
    from prodsprints.cli.running import logs
    from prodsprints.runtime import agent

    logs.configure()
    return agent.main([])
