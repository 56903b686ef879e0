"""Tokens of a bucket that a whole fleet shares: granted in batches by PostgreSQL, spent here without asking anybody.

Spent in any second are at most `burst + rate + min(workers * batch, rate * TTL_SECONDS)`: the bucket grants no more
than burst + rate * t in any t seconds, and whatever is spent was granted at most TTL_SECONDS before.
"""

from __future__ import annotations

import random as random_module
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from math import floor, inf
from operator import length_hint
from typing import TYPE_CHECKING, Any

from prodsprints.controls.providers.link import Link
from prodsprints.guard import RateLimiter, checks
from prodsprints.guard.ownership import STATE, Owned, Threads

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

TTL_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 0.1
_SHORTEST_PAUSE_SECONDS = 0.005
# After so long an empty bucket is believed: until then others may give back what they have not spent.
_BELIEVED_AFTER_SECONDS = TTL_SECONDS + 2 * _LONGEST_PAUSE_SECONDS


@dataclass(slots=True, eq=False)
class Lease:
    """A batch of tokens. `next(tokens)` is one call in C, so two threads may take from it without a lock."""

    tokens: Iterator[bool]
    until: float
    of: float
    """The time of the grant in the store's own words."""
    left: int
    """How many tokens there were when the fleet's thread last looked."""

    def take_back(self) -> int:
        """Leave nothing in it; returns how much there was."""
        return len(list(self.tokens))


class Frozen(Owned):
    """What all processes know of a scope that the provider throttles; grants without end while it is not frozen.

    For keys whose limit nobody knows.
    """

    def __init__(self, link: Link, name: str) -> None:
        self.name = name
        self.frozen_until = -inf
        self._link = link
        self._unpublished = False
        self._thaws: int | None = None

    def take(self, now: float) -> float:
        """Spend a token, of which there are any number, or return for how long this is frozen."""
        return 0.0 if now >= self.frozen_until else self.frozen_until - now

    def remaining(self, now: float) -> float:
        """All or none."""
        return inf if now >= self.frozen_until else 0.0

    def freeze(self, until: float) -> None:
        """Grant nothing before `until`, here at once and in the whole fleet a moment later. Never shortens a freeze."""
        with STATE:
            if until <= self.frozen_until:
                return
            self.frozen_until = until
            self._unpublished = True
        self._link.wake()

    def claim(self, owner: Threads | AbstractEventLoop) -> None:
        """As Owned; refused in a forked child even if nobody used it before."""
        self._link.require_own_process("bucket")
        super().claim(owner)

    def ask(self, now: float) -> dict[str, Any]:
        """A freeze that the store has not confirmed is told again, with what is left of it."""
        with STATE:
            asked: dict[str, Any] = {"scope": self.name}
            if self._unpublished and self.frozen_until > now:
                asked["freeze"] = self.frozen_until - now
        return asked

    def answer(self, answer: dict[str, Any], *, sent: float, now: float) -> None:  # noqa: ARG002 - as all parts
        """The longest freeze counts, unless somebody has thawed the scope by hand."""
        ends = now + answer["frozen"] if answer["frozen"] else -inf
        with STATE:
            if self._thaws not in {None, answer["thaws"]}:
                self.frozen_until, self._unpublished = ends, False
            self._thaws = answer["thaws"]
            if ends >= self.frozen_until - _LONGEST_PAUSE_SECONDS:
                self._unpublished = False
            self.frozen_until = max(self.frozen_until, ends)

    def due(self) -> float:
        """At the next tick; a freeze wakes the thread by itself."""
        return inf


class LeasedBucket(Frozen):
    """A fleet's token bucket, as one process sees it (guard.LeaseSource).

    `take` touches nothing but a lease in memory. A caller that finds none is told to come back in the few milliseconds
    that a renewal takes, or when the fleet's bucket has a token again. While the store is down the last lease is spent,
    and then this process keeps to its share, rate / workers.

    A lease is as large as what was spent of the ones before: it doubles while it does not last until the next one, and
    shrinks to what was spent when it runs out unspent; that rest is given back.
    """

    def __init__(
        self,
        link: Link,
        scope: str,
        *,
        rate: float,
        burst: float = 1,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        super().__init__(link, scope)
        self._random = random
        self.rate = checks.positive("rate", rate)
        self.burst = checks.at_least("burst", burst, 1)
        self.batch = max(1, floor(max(burst, rate * TTL_SECONDS)))
        # Of whoever calls:
        self._tokens: Iterator[bool] = repeat(True, 0)
        self._good_until = -inf
        self._missed = 0
        self._round_ends = -inf
        self._alone: RateLimiter | None = None
        # From the fleet's thread to whoever calls:
        self._granted: deque[Lease] = deque()
        self._asks_at = -inf
        self._empty_since = inf
        self._left, self._left_at = burst, -inf
        # Of the fleet's thread:
        self._leases: list[Lease] = []
        self._size = 1
        self._wanted = 0

    def take(self, now: float) -> float:
        """Spend a token and return 0.0, or return how many seconds to wait before asking again."""
        if self.frozen_until <= now < self._good_until and next(self._tokens, False):
            return 0.0
        return self._next_lease(now)

    def freeze(self, until: float) -> None:
        """As Frozen; what is held is not spent even if the freeze ends before the lease does."""
        self._good_until = -inf
        self._granted.clear()
        super().freeze(until)

    def remaining(self, now: float) -> float:
        """How many tokens this process holds and the fleet has left, as far as is known here."""
        if now < self.frozen_until:
            return 0.0
        if not self._link.answers(now):
            return self._alone.remaining(now) if self._alone else 0.0
        held = sum(length_hint(lease.tokens) for lease in list(self._granted) if now < lease.until)
        if now < self._good_until:
            held += length_hint(self._tokens)
        return held + min(self.burst, self._left + (max(0.0, now - self._left_at) * self.rate))

    def _next_lease(self, now: float) -> float:
        if now < self.frozen_until:
            return self.frozen_until - now
        while self._granted:
            lease = self._granted.popleft()
            if now < lease.until and next(lease.tokens, False):
                self._tokens, self._good_until = lease.tokens, lease.until
                return 0.0
        if not self._link.answers(now):
            return self._share(now)
        self._alone = None
        asks_in = self._asks_at - now
        if asks_in <= 0:
            self._link.wake()
        if now - self._empty_since < _BELIEVED_AFTER_SECONDS:
            asks_in = min(asks_in, _LONGEST_PAUSE_SECONDS)
        wait = max(0.0, asks_in) + self._link.trip_seconds
        if now >= self._round_ends:  # whoever missed before may have come back: everybody is counted once
            self._missed, self._round_ends = 0, now + wait
        self._missed += 1
        return wait

    def _share(self, now: float) -> float:
        """The store is down: this process's share of the rate, from an empty bucket on.

        It begins at a random moment, so that a fleet that lost its store together does not call together.
        """
        share = self.rate / self._link.workers
        if self._alone is None:
            self._alone = RateLimiter(rate=share)
            self._alone.freeze(now + self._random() / share)
        return self._alone.take(now)

    def ask(self, now: float) -> dict[str, Any]:
        """As many tokens as are spent until the next tick, and back with what nobody spent in time."""
        asked = super().ask(now) | {"rate": self.rate, "burst": self.burst}
        spent, held, back = self._look(now)
        if back and now >= self.frozen_until:
            asked["back"] = back
        if now < self.frozen_until or now < self._asks_at:
            return asked
        if self._missed and not held:
            if spent and self._asks_at == -inf:  # else it is the bucket that does not hold more
                self._size = min(self.batch, 2 * self._size)
            self._wanted = min(self.batch, max(self._missed, self._size))
        elif spent and self._size > 1 and 2 * held < self._size:
            self._wanted = self._size
        if self._wanted:
            asked["want"] = self._wanted
        return asked

    def answer(self, answer: dict[str, Any], *, sent: float, now: float) -> None:
        """A lease, which counts from before it was asked for; or less than was wanted, and a pause."""
        super().answer(answer, sent=sent, now=now)
        granted, wanted, self._wanted = int(answer["granted"]), self._wanted, 0
        self._left_at, self._left = now, answer["left"]
        if granted and sent >= self.frozen_until:
            lease = Lease(repeat(True, granted), sent + TTL_SECONDS, answer["of"], granted)
            self._leases.append(lease)
            self._granted.append(lease)
        if granted < wanted:
            self._asks_at = now + self._pause(answer["next"])
            self._empty_since = min(self._empty_since, now)
        elif answer["left"] >= 1:
            self._asks_at, self._empty_since = -inf, inf
        if granted:
            self._missed = max(0, self._missed - granted)
            self._empty_since = inf

    def due(self) -> float:
        """As soon as the fleet's bucket may have a token for those that wait."""
        return self._asks_at if self._missed else inf

    def _look(self, now: float) -> tuple[int, int, list[list[float]]]:
        """What was spent since the last look, what is held, and what nobody will spend any more."""
        spent, held = 0, 0
        back: list[list[float]] = []
        kept: list[Lease] = []
        for lease in self._leases:
            left = length_hint(lease.tokens)
            spent += lease.left - left
            lease.left = left
            if now >= lease.until or now < self.frozen_until:
                unspent = lease.take_back()
                if unspent:
                    self._size = max(1, self._size - unspent)
                    back.append([unspent, lease.of])
            elif left:
                held += left
                kept.append(lease)
        self._leases = kept
        return spent, held, back

    def _pause(self, next_token_seconds: float) -> float:
        """Not before there is a token, not so late that the bucket overflows, and not with everybody else."""
        fills = self.burst / self.rate / 2
        pause = min(max(fills, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        return max(next_token_seconds, pause * (0.75 + self._random() / 2))
