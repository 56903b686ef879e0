"""kill -9 of dispatchers: nothing is lost, and a copy falls to a kill and bears the same key; the bench has 10,000."""

from __future__ import annotations

from prodsprints.bench import notify
from prodsprints.bench.scratch import Scratch
from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres


def test_dispatchers_that_are_killed_lose_nothing_and_double_what_was_under_way_at_most(
    own: Settings, postgres: EmbeddedPostgres, database: Database
) -> None:
    came = notify.killed(Scratch(own, postgres, database), 240, lanes=12, progress=lambda _: None)
    assert (came.left, came.lost, came.out_of_order) == (0, [], 0)
    assert came.kills
    assert sum(len(at) - 1 for at in came.twice.values()) <= len(came.kills) and came.unexplained == 0
