"""Leaving a provider alone by hand, and calling it again: for the whole fleet, within a tenth of a second."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from prodsprints.controls.providers.dependencies.dependency import Dependency, Scope
from prodsprints.controls.providers.errors import FreezeInputError, NotSharedError, UnknownDependencyError
from prodsprints.kernel.validation import nearest
from prodsprints.store.database import Database, one, patient

LONGEST_SECONDS = 86_400.0
"""A freeze that is needed for longer is a decision about the provider: take it out of the configuration."""

_MOST_ACTS = 10


@dataclass(frozen=True)
class Act:
    """Somebody froze or thawed a scope. `seconds`: for how long, or how much of the freeze was spared."""

    at: datetime
    scope: str
    act: str
    seconds: float
    actor: str


def checked(seconds: float) -> float:
    """`seconds`, if something can be frozen for so long. Raises FreezeInputError."""
    if not isfinite(seconds) or seconds <= 0:
        raise FreezeInputError(
            f"A provider cannot be frozen for {seconds:g} seconds.",
            next_step="Give a number of seconds above 0, 600 say. To call it again, thaw it.",
        )
    if seconds > LONGEST_SECONDS:
        raise FreezeInputError(
            f"{seconds:,.0f} seconds are more than the day for which a provider can be frozen by hand.",
            why="Who comes after you would not know why nothing calls it.",
            next_step=f"Give at most {LONGEST_SECONDS:,.0f} seconds, and freeze it again if it takes longer.",
        )
    return seconds


def scopes(dependency: Dependency, key: str | None) -> list[Scope]:
    """The shared buckets of a provider, or that of one key. Raises UnknownDependencyError, NotSharedError."""
    meant = [scope for scope in dependency.scopes if key is None or key in scope.keys]
    if key is not None and not meant:
        known = sorted({name for scope in dependency.scopes for name in scope.keys if name})
        raise UnknownDependencyError(
            f"{dependency.name} has no key {key[:60]!r}.",
            next_step=(
                f"Its keys are {', '.join(known)}{nearest(key, known)}"
                if known
                else "It has no named keys: leave the key out."
            ),
        )
    shared = [scope for scope in meant if scope.shared]
    if not shared:
        raise NotSharedError(
            f"{dependency.name} cannot be frozen by hand.",
            why="Its buckets belong to single processes, not to the fleet.",
            next_step="Stop what calls it, or give its guard a bucket of the fleet.",
        )
    return shared


def freeze(db: Database, scopes: Sequence[Scope], *, seconds: float, actor: str) -> float:
    """Have nobody call these for `seconds`; returns for how long that is now, since a longer freeze stays."""
    checked(seconds)
    cold = [
        one(db.once("select fleet_freeze(%s, %s, %s) as seconds", [scope.shared, seconds, actor]))["seconds"]
        for scope in scopes
    ]
    return float(max(cold))


def thaw(db: Database, scopes: Sequence[Scope], *, actor: str) -> float:
    """Have them called again, from an empty bucket on; returns how many seconds were left, 0 if none was frozen."""
    spared = [
        one(db.once("select fleet_thaw(%s, %s) as seconds", [scope.shared, actor]))["seconds"] for scope in scopes
    ]
    return float(max(spared))


@patient
def acts(db: Database, shared: Collection[str]) -> list[Act]:
    """What was done by hand to these buckets, the newest first; a few of each."""
    with db.dispatch() as connection:
        rows = connection.execute(
            """
            select at, scope, act, seconds, actor
            from (select *, row_number() over (partition by scope order by at desc) as place
                  from fleet_acts where scope = any(%s)) as placed
            where place <= %s order by at desc
            """,
            [list(shared), _MOST_ACTS],
        ).fetchall()
    return [Act(**row) for row in rows]
