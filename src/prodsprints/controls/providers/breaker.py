"""A circuit that a whole fleet shares: whoever finds the provider failing opens it for all, and one probe closes it."""

from __future__ import annotations

import random as random_module
from asyncio import AbstractEventLoop
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from prodsprints.controls.providers.link import Link
from prodsprints.guard import Circuit, CircuitBreaker
from prodsprints.guard.errors import CircuitOpenError
from prodsprints.guard.ownership import STATE

if TYPE_CHECKING:
    from prodsprints.guard.ownership import Threads

# A permit to probe is used at once or not at all; the store keeps it for so long, too (0006_fleet.sql).
_PERMIT_SECONDS = 1.0
_LATE_SECONDS = 0.25


class SharedBreaker(CircuitBreaker):
    """As CircuitBreaker; its state is this process's own, and kept equal to the fleet's without asking at a call.

    Failures are counted here, and the fleet is told of what follows: opened, closed, released (a probe ended without a
    word about the provider). The fleet's state has a version; what was concluded from an older one does not count.
    When it is time for a probe the store gives one permit. While the store is down, each process probes by itself.
    """

    def __init__(
        self,
        link: Link,
        name: str,
        *,
        failure_threshold: int = 5,
        recovery_timeout: float = 60.0,
        failures: tuple[type[Exception], ...] = (Exception,),
        random: Callable[[], float] = random_module.random,
    ) -> None:
        super().__init__(failure_threshold=failure_threshold, recovery_timeout=recovery_timeout, failures=failures)
        self.name = name
        self._link = link
        self._random = random
        self._version = 0
        self._news: tuple[str] | None = (
            None  # a new object for each event: so that what was told is known from what was not
        )
        self._told: tuple[str] | None = None
        self._wants_probe = False
        self._permit_until = -inf
        self._probed_elsewhere = False

    def probe_in(self, now: float) -> float:
        """How long to wait for the permit that a call at `now` would need; 0 if it needs none, or none is to be had."""
        if self.circuit is Circuit.CLOSED or now < self._changes_at or now < self._permit_until:
            return 0.0
        if not self._link.answers(now):
            return 0.0
        self._wants_probe = True
        self._link.wake()
        return 0.0 if self._probed_elsewhere else min(max(4 * self._link.trip_seconds, 0.02), 0.2)

    def admit(self, now: float) -> int:
        """As CircuitBreaker; the probe needs the fleet's permit."""
        if self.circuit is not Circuit.CLOSED and now >= self._changes_at and self._link.answers(now):
            if now >= self._permit_until:
                raise self._rejection(_PERMIT_SECONDS)
            self._permit_until = -inf
        return super().admit(now)

    def claim(self, owner: Threads | AbstractEventLoop) -> None:
        """As Owned; refused in a forked child even if nobody used it before."""
        self._link.require_own_process("breaker")
        super().claim(owner)

    def ask(self, now: float) -> dict[str, Any]:
        """What this process has concluded since it was last heard, and whether it wants to probe."""
        self._told = self._news
        asked: dict[str, Any] = {"name": self.name, "version": self._version, "recovery": self.recovery_timeout}
        if self._told is not None:
            asked["say"] = self._told[0]
        elif now >= self._permit_until + _LATE_SECONDS and self._permit_until > -inf:
            self._permit_until = -inf  # nobody called: let another process probe
            asked["say"] = "released"
        if self._wants_probe:
            asked["probe"] = True
        return asked

    def answer(self, answer: dict[str, Any], *, sent: float, now: float) -> None:
        """The fleet's state becomes ours, where our own may be changed: on its event loop, or under the lock."""
        told, self._told = self._told, None
        self._where_it_belongs(lambda: self._adopt(answer, told, sent=sent, now=now))

    def due(self) -> float:
        """At the next tick; news wake the thread by themselves."""
        return inf

    def _adopt(self, answer: dict[str, Any], told: tuple[str] | None, *, sent: float, now: float) -> None:
        self._wants_probe = False
        self._probed_elsewhere = answer["probing"] and not answer["permit"]
        if answer["permit"]:
            self._permit_until = sent + _PERMIT_SECONDS
        if self._news is not told:
            return  # something happened since: it is told at the next tick, and judged there
        self._news = None
        if answer["version"] == self._version:
            return
        self._version = answer["version"]
        if not answer["open"]:
            if self.circuit is not Circuit.CLOSED:
                super()._enter(Circuit.CLOSED, -inf)
                self.failures_in_a_row = 0
        elif self.circuit is Circuit.OPEN:
            self._changes_at = now + answer["probe_in"]
        else:
            super()._enter(Circuit.OPEN, now + answer["probe_in"])

    def _where_it_belongs(self, change: Callable[[], None]) -> None:
        owner = self.owner
        if isinstance(owner, AbstractEventLoop):
            try:
                owner.call_soon_threadsafe(change)
            except RuntimeError:  # it is closed; another loop may claim this one
                return
        else:
            with STATE:
                change()

    def _enter(self, circuit: Circuit, changes_at: float) -> None:
        """A change of this process's own making."""
        if circuit is Circuit.OPEN:
            if not self._link.answers(changes_at - self.recovery_timeout):
                changes_at += self._random() * self.recovery_timeout / 2  # so that not all probe together
            self._tell("opened")
        elif circuit is Circuit.CLOSED:
            self._tell("closed")
        super()._enter(circuit, changes_at)

    def _released(self, era: int, now: float) -> None:
        if era == self.era and self.circuit is Circuit.HALF_OPEN:
            super()._enter(Circuit.OPEN, now)
            self._tell("released")

    def _tell(self, news: str) -> None:
        self._news = (news,)
        self._link.wake()

    def _rejection(self, seconds: float) -> CircuitOpenError:
        if self.failures_in_a_row:
            return super()._rejection(seconds)
        return CircuitOpenError(
            "The provider is not called now: its circuit is open.",
            why="Another worker found that it fails.",
            next_step=f"Try again in {seconds:.1f} s.",
            retry_after=seconds,
        )
