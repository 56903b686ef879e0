"""`prodsprints up`: everything on this machine, in one terminal, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prodsprints.cli import options
from prodsprints.cli.errors import BadArgumentsError
from prodsprints.cli.output import Output
from prodsprints.kernel.errors import ExitCode

if TYPE_CHECKING:
    from prodsprints.cli.tour.story import Ending
    from prodsprints.kernel.settings import Settings


@click.command("up")
@click.option("--tour", is_flag=True, help="Play the example: three versions of a shop, the last of which errs.")
@click.option("--once", is_flag=True, help="With --tour: play it (again), print one JSON line, and end.")
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    callback=options.absolute,
    metavar="PATH",
    help="With --tour: this repository instead of the example.",
)
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
    from prodsprints.cli.platform import Platform
    from prodsprints.cli.running import home, logs
    from prodsprints.cli.running.stack import Stack
    from prodsprints.cli.running.telling import Telling
    from prodsprints.guard.profiles import FILE, profiles
    from prodsprints.kernel.settings import Settings

    settings = Settings.from_environment()
    profiles(overrides=settings.home / FILE)  # a mistake in it is told here, and not by a worker's log
    home.prepare(settings)
    logs.to_file(settings, "up")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with Stack(settings, out.tell):
        out.line("up", {"address": settings.address})
        ending = _play(settings, out, repo, again=once) if tour else None
        if not once:
            out.tell("Serving until Ctrl-C.")
            telling = Telling(Platform(settings), out.tell)
            telling.start()
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
            telling.stop()
            out.tell("\nStopping; the next start brings back what served.")
    if once and ending is not None:
        click.echo(json.dumps({"schema": 1, **asdict(ending)}))
    return ExitCode.DONE


def _play(settings: Settings, out: Output, repo: Path | None, *, again: bool) -> Ending | None:
    from prodsprints.cli.tour import story

    if repo is not None:
        story.release_own(settings, out, repo)
        return None
    return story.play(settings, out, again=again)
