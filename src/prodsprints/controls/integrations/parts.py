"""Looks at the platform's own parts: its database, node agent, workers and evidence log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prodsprints.controls.integrations.health import Outcome
from prodsprints.controls.integrations.probe import Look
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.settings import Settings
from prodsprints.runtime.client import NodeAgent
from prodsprints.store.database import Database, one
from prodsprints.store.workers import DEAD_AFTER_SECONDS

NAMES: Mapping[str, tuple[str, bool]] = {
    "database": ("Database", True),
    "workers": ("Workers", True),
    "node-agent": ("Node agent", True),
    "ledger": ("Evidence log", True),
}
"""By key: what each is called, and that it is public at first. None of it says where anything is."""

_SLOW_SECONDS = 1.0
_STUCK_SECONDS = 20.0


def looks(db: Database, settings: Settings) -> Mapping[str, Callable[[], Look]]:
    """How to look at each of `NAMES`. None of them raises, and each ends within seconds."""
    return {
        "database": lambda: _timed(lambda: _answers(db)),
        "workers": lambda: _timed(lambda: _are_there(db)),
        "node-agent": lambda: _timed(lambda: _serves(settings)),
        "ledger": _Moving(db).look,
    }


@dataclass
class _Moving:
    """Whether statements that wait for their place in a log get it."""

    db: Database
    oldest: int | None = None
    since: float = 0.0

    def look(self) -> Look:
        return _timed(self._moves)

    def _moves(self) -> str:
        with self.db.sequencer() as connection:
            row = one(connection.execute("select min(statement_id) as oldest from ledger_queue").fetchone())
        if row["oldest"] is None or row["oldest"] != self.oldest:
            self.oldest, self.since = row["oldest"], time.monotonic()
        waits = self.oldest is not None and time.monotonic() - self.since > _STUCK_SECONDS
        return "What is signed waits for its place in the log." if waits else ""


def _timed(look: Callable[[], str]) -> Look:
    began = time.monotonic()
    try:
        wrong = look()
    except ProdSprintsError:
        wrong = "It does not answer."
    seconds = time.monotonic() - began
    if wrong:
        return Look(Outcome.FAILED, seconds, wrong)
    return Look(Outcome.SLOW, seconds, "It answers slowly.") if seconds > _SLOW_SECONDS else Look(Outcome.WELL, seconds)


def _answers(db: Database) -> str:
    with db.dispatch() as connection:
        connection.execute("select 1")
    return ""


def _are_there(db: Database) -> str:
    """A worker serves its own node: where something is served, one must be alive."""
    with db.dispatch() as connection:
        row = one(
            connection.execute(
                """
                select count(*) as without from (select distinct node from environments where withdrawn_at is null) e
                where not exists (select from workers w where w.node = e.node and w.reaped_at is null
                                  and w.heartbeat_at >= now() - make_interval(secs => %s))
                """,
                [DEAD_AFTER_SECONDS],
            ).fetchone()
        )
    return "A node has no worker." if row["without"] else ""


def _serves(settings: Settings) -> str:
    agent = NodeAgent(settings)
    try:
        return "" if agent.health().envoy_alive else "It is there; its gateway is not."
    finally:
        agent.close()
