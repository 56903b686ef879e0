"""Who may use a guard's state: one event loop, without locks, or the threads of one process, under one lock.

Both refusals here prevent silent damage: two loops would race on state that nothing locks, and a fork copies tokens,
so that parent and child together would spend a provider's quota twice.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from prodsprints.guard.errors import GuardMisusedError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Threads:
    """The owner of what threads share."""


class Fork:
    """The owner of what a fork left behind."""


THREADS: Final = Threads()
_FORK: Final = Fork()
Owner = "Threads | Fork | AbstractEventLoop | None"

STATE = threading.RLock()
"""Held by threads for the fraction of a microsecond in which they touch the state of any guard, never during a call.

One lock for all, because guards share components as they like. Re-entrant, because a signal handler may call.
"""


class Owned:
    """State with one owner, who is known from its first use on."""

    owner: Threads | Fork | AbstractEventLoop | None = None

    def claim(self, owner: Threads | AbstractEventLoop) -> None:
        """Make `owner` the owner, or refuse."""
        with STATE:
            if self.owner is owner:
                return
            if self.owner is not None:
                self._refuse_unless_gone(self.owner, owner)
            self.owner = owner
            _claimed.add(self)

    def _refuse_unless_gone(
        self, owner: Threads | Fork | AbstractEventLoop, other: Threads | AbstractEventLoop
    ) -> None:
        kind = type(self).__name__
        if isinstance(owner, Fork):
            raise GuardMisusedError(
                f"This {kind} was in use before the process forked.",
                why="Its counts belong to the parent: two processes would spend one quota twice.",
                next_step=f"Build the {kind} in the child.",
            )
        if isinstance(owner, Threads) or isinstance(other, Threads):
            raise GuardMisusedError(
                f"This {kind} is used by an event loop and by threads at once.",
                why="An event loop uses it without locks.",
                next_step=f"Build one {kind} for asynchronous and one for synchronous calls.",
            )
        if not owner.is_closed():
            raise GuardMisusedError(
                f"This {kind} is in use by another event loop.",
                why="An event loop uses it without locks.",
                next_step=f"Build one {kind} for each event loop.",
            )


_claimed: WeakSet[Owned] = WeakSet()


def _disown_in_child() -> None:
    STATE.release()
    for owned in _claimed:
        owned.owner = _FORK


os.register_at_fork(before=STATE.acquire, after_in_parent=STATE.release, after_in_child=_disown_in_child)
