"""Which environment a command means: by project, by the directory it is typed in, or because there is only one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prodsprints.cli.errors import NoSuchEnvironmentError

Json = dict[str, Any]

_LISTED = 10


def choose(environments: Sequence[Json], *, project: str | None, directory: Path, name: str | None) -> Json:
    """The one environment that is meant. Raises NoSuchEnvironmentError, listing what there is."""
    if not environments:
        raise NoSuchEnvironmentError(
            "Nothing was released yet.", next_step="`prodsprints release PATH` releases a repository."
        )
    meant = fitting(environments, project=project, name=name or "production")
    if len(meant) > 1:
        meant = [entry for entry in meant if directory.is_relative_to(entry["repository"])] or meant
    if len(meant) > 1:
        raise NoSuchEnvironmentError(
            f"More than one environment fits {_wanted(project, name or 'production')}.",
            why=f"There are {_listed(meant)}.",
            next_step="Name one with --project.",
        )
    return meant[0]


def fitting(environments: Sequence[Json], *, project: str | None, name: str | None) -> list[Json]:
    """Those of this project and this name; None fits all. Raises NoSuchEnvironmentError where none of some does."""
    found = [
        entry
        for entry in environments
        if (name is None or entry["name"] == name) and (project is None or entry["project"] == project)
    ]
    if environments and not found:
        raise NoSuchEnvironmentError(
            f"There is no environment {_wanted(project, name)}.",
            why=f"There are {_listed(environments)}.",
            next_step="Name one with --project and --env.",
        )
    return found


def _wanted(project: str | None, name: str | None) -> str:
    return f"{project or '…'}/{name or '…'}"


def _listed(environments: Sequence[Json]) -> str:
    names = sorted(f"{entry['project']}/{entry['name']}" for entry in environments)
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
