"""Providers on the board of a real database, for the pages."""

from __future__ import annotations

from uuid import uuid4

from controls.providers.support_sightings import World, shared
from prodsprints.controls.providers.dependencies import board
from prodsprints.store.database import Database


class Providers:
    """What one process tells of its providers; all is taken down at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.worker = f"node-1-{uuid4().hex[:8]}"
        self._tag = uuid4().hex[:6]

    def name(self, provider: str) -> str:
        """Other tests' rows are on the same board."""
        return f"{provider}-{self._tag}"

    def tell(self, world: World, *, worker: str | None = None, own: bool = False) -> None:
        seen = world.look()
        board.post(self._database, worker or self.worker, [seen if own else shared(seen)])

    def age(self, seconds: float) -> None:
        with self._database.dispatch() as connection:
            connection.execute(
                "update guard_sightings set at = at - make_interval(secs => %s) where worker = %s",
                [seconds, self.worker],
            )

    def take_down(self) -> None:
        with self._database.dispatch() as connection:
            connection.execute("delete from guard_sightings where name like %s", [f"%-{self._tag}%"])


def day(providers: Providers) -> dict[str, World]:
    """One that is fine, one that is throttled, one that is broken."""
    fine, throttled, broken = (World(providers.name(one)) for one in ("github", "aws-sts/4711 eu", "slack"))
    for minute in range(4):
        fine.call(["answer"] * 20 + ["failure"] * (minute % 2), seconds=0.4)
        throttled.call(["answer"] * 4, seconds=1)
        broken.call(["answer"] * 3, seconds=2)
        for world in (fine, throttled, broken):
            world.clock.seconds += 10
            world.look()
    throttled.call(["throttled"])
    broken.call(["failure"] * 3 + ["answer"] * 5, seconds=1)
    for world in (fine, throttled, broken):
        providers.tell(world)
    return {"github": fine, "aws": throttled, "slack": broken}
