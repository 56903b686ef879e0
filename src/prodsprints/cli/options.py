"""Options that many verbs share, each turned into the value that the verb works with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from prodsprints.cli.output import Output

if TYPE_CHECKING:
    from prodsprints.cli.platform import Platform


def _output(_ctx: click.Context, _parameter: click.Parameter, value: bool) -> Output:
    return Output(value)


def _platform(_ctx: click.Context, _parameter: click.Parameter, value: str) -> Platform:
    from prodsprints.cli.platform import Platform
    from prodsprints.kernel.settings import Settings

    return Platform(Settings.from_environment(), tenant=value)


def absolute(_ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """A path as it is meant where it was typed: the platform's processes have other working directories."""
    return None if value is None else value.expanduser().absolute()


def _place(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """A remote repository's address as it was typed, else a path made absolute."""
    from prodsprints.controls.integrations.git_address import is_remote

    return value if is_remote(value) else str(absolute(ctx, parameter, Path(value)))


as_json = click.option(
    "--json", "out", is_flag=True, callback=_output, help="Answer with versioned JSON lines on stdout."
)
tenant = click.option(
    "--tenant",
    "platform",
    default="default",
    show_default=True,
    metavar="NAME",
    callback=_platform,
    help="Whose rows; decides which token is used.",
)
env = click.option(
    "--env", "environment", default=None, metavar="NAME", help="The environment; `production` if none is named."
)
project = click.option(
    "--project",
    default=None,
    metavar="NAME",
    help="The project; by default the one whose repository this directory is.",
)
place = click.argument("path", default=".", callback=_place, metavar="[PLACE]")
repository = click.argument("path", type=click.Path(path_type=Path), default=".", callback=absolute, metavar="[PATH]")
