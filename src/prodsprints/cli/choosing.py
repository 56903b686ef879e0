"""Which environment a command means: by project, by the directory it is typed in, or because there is only one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prodsprints.cli.errors import NoSuchEnvironmentError

Json = dict[str, Any]


def choose(environments: Sequence[Json], *, project: str | None, directory: Path, name: str | None) -> Json:
    """The one environment that is meant. Raises NoSuchEnvironmentError, listing what there is."""
    fitting = [entry for entry in environments if entry["name"] == (name or "production")]
    if project is not None:
        fitting = [entry for entry in fitting if entry["project"] == project]
    elif len(fitting) > 1:
        inside = [entry for entry in fitting if directory.is_relative_to(entry["repository"])]
        fitting = inside or fitting
    if len(fitting) == 1:
        return fitting[0]
    if not environments:
        raise NoSuchEnvironmentError(
            "Nothing was released yet.", next_step="`prodsprints release PATH` releases a repository."
        )
    known = ", ".join(sorted(f"{entry['project']}/{entry['name']}" for entry in environments))
    wanted = f"{project or '…'}/{name or 'production'}"
    if fitting:
        raise NoSuchEnvironmentError(
            f"More than one environment fits {wanted}.", why=f"There are {known}.", next_step="Name one with --project."
        )
    raise NoSuchEnvironmentError(
        f"There is no environment {wanted}.", why=f"There are {known}.", next_step="Name one with --project and --env."
    )
