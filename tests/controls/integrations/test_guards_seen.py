"""Integrations are as the guards of all processes saw them, and unknown while nobody calls them."""

from __future__ import annotations

import time
from uuid import UUID, uuid4

import pytest

from controls.providers.support_sightings import World
from prodsprints.controls.integrations import services
from prodsprints.controls.integrations.guards_seen import GuardsSeen, judged
from prodsprints.controls.integrations.health import Outcome
from prodsprints.controls.integrations.probe import Look
from prodsprints.controls.providers.dependencies import board
from prodsprints.controls.providers.dependencies.board import Posted
from prodsprints.controls.providers.dependencies.dependency import dependencies
from prodsprints.store.database import Database


def seen(*ends: str, age_seconds: float = 0.0) -> Look | None:
    world = World()
    world.look()
    world.call(list(ends))
    (one,) = dependencies([Posted("w", world.look(), age_seconds)])
    return judged(one)


@pytest.mark.parametrize(
    ("ends", "outcome", "settled"),
    [
        (["answer"] * 20, Outcome.WELL, False),
        (["answer"] * 10 + ["failure"], Outcome.SLOW, False),
        (["failure", "answer"], Outcome.FAILED, False),
        (["failure"] * 5, Outcome.FAILED, True),
    ],
)
def test_what_guards_saw_is_what_the_service_is(ends: list[str], outcome: Outcome, settled: bool) -> None:
    look = seen(*ends)
    assert look is not None
    assert (look.outcome, look.settled) == (outcome, settled)
    assert not look.words or "github" not in look.words


def test_nobody_calls_or_nobody_tells_is_not_known() -> None:
    assert seen() is None
    assert seen("answer", age_seconds=11.0) is None


def test_each_guard_on_the_board_is_watched_and_private_at_first(database: Database, tenant: UUID) -> None:
    worker = f"w-{uuid4()}"
    world = World()
    world.look()
    world.call(["answer"])
    board.post(database, worker, [world.look()])
    try:
        guards = GuardsSeen(database)
        names = guards.names()
        (name,) = [key for key in names if key == world.look().snapshot.name]
        look = guards.look(name)
        assert look is not None and look.outcome is Outcome.WELL
        with database.tenant(tenant) as connection:
            services.know(connection, tenant, "integration", {name: names[name]})
        (made,) = services.services(database, tenant)
        assert (made.kind, made.is_public, made.url) == ("integration", False, None)
        assert guards.look("nobody") is None
        guards._read_at = time.monotonic() - 60
        assert guards.look(name) is None
    finally:
        board.take_down(database, worker)
