"""`prodsprints up`: everything on this machine, in one terminal, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path

import click

from prodsprints.cli import options
from prodsprints.cli.errors import BadArgumentsError
from prodsprints.cli.output import Output
from prodsprints.kernel.errors import ExitCode


@click.command("up")
@click.option("--tour", is_flag=True, help="Play the example: three versions of a shop, the last of which errs.")
@click.option("--once", is_flag=True, help="With --tour: play it (again), print one JSON line, and end.")
@click.option(
    "--repo", type=click.Path(path_type=Path), callback=options.absolute, metavar="PATH",
    help="With --tour: this repository instead of the example.",
)  # fmt: skip
@options.as_json
def command(tour: bool, once: bool, repo: Path | None, out: Output) -> int:
    """Start PostgreSQL, the node agent, a worker and the pages; serve until Ctrl-C.

    PRODSPRINTS_HOME says where the data is, PRODSPRINTS_PORT where the pages are, PRODSPRINTS_DATABASE_URL which
    PostgreSQL to use instead of the embedded one.

    \b
    Example: prodsprints up --tour
    """
    if not tour and (once or repo is not None):
        raise BadArgumentsError("--once and --repo belong to --tour.", next_step="Add --tour, or leave them out.")
    if once and repo is not None:
        raise BadArgumentsError("--once plays the example; --repo replaces it.", next_step="Give one of the two.")
    from prodsprints.cli.running import home, logs
    from prodsprints.cli.running.stack import Stack
    from prodsprints.kernel.settings import Settings

    settings = Settings.from_environment()
    home.prepare(settings)
    logs.to_file(settings, "up")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with Stack(settings, out.note) as stack:
        out.line("up", {"address": stack.address})
        if tour:
            from prodsprints.cli.tour import story

            story.play(settings, out, repo=repo, again=once)
            if once:
                return ExitCode.DONE
        out.note("Serving until Ctrl-C.")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        out.note("\nStopping; the next start brings back what served.")
    return ExitCode.DONE
