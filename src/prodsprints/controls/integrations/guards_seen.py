"""How integrations are, by what the guards of all processes saw of them: no call is made to ask."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prodsprints.controls.integrations.health import Outcome
from prodsprints.controls.integrations.probe import GUARD, Look
from prodsprints.controls.integrations.services import LONGEST_NAME, MOST_SERVICES
from prodsprints.controls.providers.dependencies import board
from prodsprints.controls.providers.dependencies.dependency import Dependency, dependencies
from prodsprints.guard import Circuit
from prodsprints.store.database import Database

_KEPT_SECONDS = 3.0
_RECENT_SLOTS = 6
_MANY, _SOME = 0.5, 0.05


class GuardsSeen:
    """What is on the board of dependencies: read by the monitor's own thread, and looked at by any."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._read_at: float | None = None
        self._known: Mapping[str, Dependency] = {}

    def names(self) -> dict[str, tuple[str, bool]]:
        """By key: what each integration is called, and that it is not public at first. Reads the board now and then."""
        if self._read_at is None or time.monotonic() - self._read_at > _KEPT_SECONDS:
            found = dependencies(board.read(self._db))
            self._known, self._read_at = {one.name: one for one in found if one.name != GUARD}, time.monotonic()
        return {name: (_short(name), False) for name in list(self._known)[:MOST_SERVICES]}

    def look(self, name: str) -> Look | None:
        """How it is; None when nobody has called it lately, or told of it, so that nobody knows."""
        seen, read_at = self._known.get(name), self._read_at
        if seen is None or read_at is None or time.monotonic() - read_at > board.FRESH_SECONDS:
            return None
        return judged(seen)


def judged(seen: Dependency) -> Look | None:
    """An open circuit is down at once: the guard has seen it fail more than once already."""
    if not seen.is_fresh:
        return None
    match seen.circuit:
        case Circuit.OPEN:
            return Look(Outcome.FAILED, 0.0, "Calls to it fail, and are not made for a while.", settled=True)
        case Circuit.HALF_OPEN:
            return Look(Outcome.FAILED, 0.0, "Calls to it failed; it is tried again.")
    recent = [slot for slot in seen.slots[:_RECENT_SLOTS] if slot is not None]
    attempts, failed = sum(slot.attempts for slot in recent), sum(slot.failed for slot in recent)
    return _of_share(failed / attempts) if attempts else None


def _of_share(failed: float) -> Look:
    if failed >= _MANY:
        return Look(Outcome.FAILED, 0.0, "Most calls to it fail.")
    return Look(Outcome.SLOW, 0.0, "Some calls to it fail.") if failed >= _SOME else Look(Outcome.WELL, 0.0)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
