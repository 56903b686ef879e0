"""A retry budget that a whole fleet shares, so that many workers together do not make an outage worse."""

from __future__ import annotations

from math import floor, inf
from typing import TYPE_CHECKING, Any

from prodsprints.controls.providers.link import Link
from prodsprints.guard import RetryBudget
from prodsprints.guard.budget import SECONDS_TO_REFILL

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from prodsprints.guard.ownership import Threads


class SharedBudget(RetryBudget):
    """As RetryBudget, for all processes together; each holds a few tokens of it, so that a retry need not ask.

    Two counts that only the caller's side raises, and one that only the fleet's thread raises: nobody needs a lock.
    """

    def __init__(self, link: Link, name: str, *, share: float = 0.1, reserve: float = 10) -> None:
        super().__init__(share=share, reserve=reserve)
        self.name = name
        self._link = link
        self._of_all = reserve
        self.reserve, self.tokens = (
            inf,
            0.0,
        )  # the fused path is to tell of each success: it may fill the fleet's budget
        self._successes = 0
        self._spent = 0
        self._granted = 0
        self._alone: RetryBudget | None = None
        self._spent_before = 0
        self._told_successes = 0
        self._full = False

    def succeeded(self) -> None:
        """Earns for all."""
        self._successes += 1

    def spend(self, now: float) -> bool:
        """True if a retry may be made; it is then paid for. While the store is down: out of this process's share."""
        if self._spent < self._granted:
            self._spent += 1
            self.tokens = self._granted - self._spent
            return True
        self._link.wake()
        if self._link.answers(now):
            self._alone = None
            return False
        if self._alone is None:
            self._alone = RetryBudget(share=self.share, reserve=max(1.0, self._of_all / self._link.workers))
            self._alone.tokens = 0.0
        return self._alone.spend(now)

    def claim(self, owner: Threads | AbstractEventLoop) -> None:
        """As Owned; refused in a forked child even if nobody used it before."""
        self._link.require_own_process("budget")
        super().claim(owner)

    def ask(self, now: float) -> dict[str, Any]:  # noqa: ARG002 - as all parts
        """A token to hold, a few while they are spent, and what was earned; a budget that is full earns nothing."""
        asked: dict[str, Any] = {"name": self.name, "reserve": self._of_all, "refill": SECONDS_TO_REFILL}
        spent, self._spent_before = self._spent - self._spent_before, self._spent
        held, hold = self._granted - self._spent, 1
        if spent:
            hold = max(1, floor(self._of_all / 2 / self._link.workers))
        if held < hold:
            asked["want"] = hold - held
        successes = self._successes
        earned = (successes - self._told_successes) * self.share
        if "want" in asked or self._full or earned >= 1:
            self._told_successes = successes
            if not self._full or "want" in asked:
                asked["earned"] = earned
        return asked

    def answer(self, answer: dict[str, Any], *, sent: float, now: float) -> None:  # noqa: ARG002 - as all parts
        """Tokens are kept until they are spent: they were taken out of the fleet's budget."""
        self._granted += int(answer["granted"])
        self.tokens = self._granted - self._spent
        self._full = answer["left"] >= self._of_all

    def due(self) -> float:
        """At the next tick."""
        return inf
