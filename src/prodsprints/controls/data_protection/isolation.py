"""Tenants kept apart by PostgreSQL: row-level security forced on every table, or nothing is served."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg
from psycopg.rows import class_row

from prodsprints.controls.data_protection.errors import NotIsolatedError

_SHOWN = 5


@dataclass(frozen=True)
class Gap:
    """A place (a table, a view, a function, a role) and how one tenant would reach another through it."""

    place: str
    gap: str


def gaps(connection: psycopg.Connection[Any]) -> tuple[Gap, ...]:
    """Every gap of the schema that `connection` is at, found in PostgreSQL's own catalogue; none is what is wanted."""
    statement = resources.files(__package__).joinpath("isolation.sql").read_text(encoding="utf-8")
    with connection.cursor(row_factory=class_row(Gap)) as cursor:
        return tuple(cursor.execute(statement.encode()).fetchall())


def require(connection: psycopg.Connection[Any]) -> None:
    """Refuse a schema that does not keep tenants apart. Raises NotIsolatedError."""
    found = gaps(connection)
    if not found:
        return
    more = f" And {len(found) - _SHOWN} more." if len(found) > _SHOWN else ""
    raise NotIsolatedError(
        "This database would not keep tenants apart, so nothing is served from it.",
        why=" ".join(f"{one.place}: {one.gap}." for one in found[:_SHOWN]) + more,
        next_step="Undo what was changed by hand, or correct the revision that made it; then start again:"
        " src/prodsprints/controls/data_protection/RUNBOOK.md.",
    )
