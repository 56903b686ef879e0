"""Several keys for one provider: each call takes the one with the most quota left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from prodsprints.guard.errors import GuardInputError
from prodsprints.guard.limiter import LeaseSource, Unmetered
from prodsprints.guard.ownership import Owned, Threads

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


@dataclass(frozen=True)
class Key:
    """A credential and the quota scope that it draws on: keys of one account share that account's limit."""

    name: str
    secret: str = field(default="", repr=False)
    scope: str = ""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key in a pool, with the tokens of its scope."""

    key: Key
    quota: LeaseSource


class KeyPool(Owned):
    """Keys of one provider; `quota(scope)` makes the bucket that all keys of that scope share.

    A throttled key's bucket is frozen, and only that one: the others go on.
    """

    def __init__(self, keys: Sequence[Key], *, quota: Callable[[str], LeaseSource] | None = None) -> None:
        if not keys:
            raise GuardInputError(
                "A key pool needs at least one key.", next_step="Give it a key, or use a guard without `keys`."
            )
        if len({key.name for key in keys}) < len(keys):
            raise GuardInputError("Two keys of a pool have one name.", next_step="Give each key a name of its own.")
        scopes = dict.fromkeys(key.scope or key.name for key in keys)
        self.quotas = {scope: quota(scope) if quota else Unmetered() for scope in scopes}
        self.held = tuple(HeldKey(key, self.quotas[key.scope or key.name]) for key in keys)
        self._first = self.held[0]
        self._single = len(keys) == 1
        self._turn = 0

    @classmethod
    def anonymous(cls, quota: LeaseSource | None = None) -> KeyPool:
        """The pool of a guard whose function brings its own credential: one key without a name."""
        return cls([Key("")], quota=lambda _: quota or Unmetered())

    def take(self, now: float) -> HeldKey | None:
        """The key with the most quota left, a token of it spent; None if that key has none now."""
        held = self._first if self._single else self._fullest(now)
        return None if held.quota.take(now) else held

    def search(self, now: float) -> HeldKey | float:
        """Any key with a token, which is spent; else the seconds until it is worth searching again."""
        shortest = inf
        for held in sorted(self.held, key=lambda held: held.quota.remaining(now), reverse=True):
            wait = held.quota.take(now)
            if not wait:
                return held
            shortest = min(shortest, wait)
        return shortest

    def ready(self, now: float) -> bool:
        """True if some key has quota now."""
        return any(quota.remaining(now) >= 1 for quota in self.quotas.values())

    def _fullest(self, now: float) -> HeldKey:
        """The key with the most quota left; among equals, in turn."""
        held = self.held
        self._turn = turn = (self._turn + 1) % len(held)
        best, most = held[turn], -inf
        for candidate in held[turn:] + held[:turn]:
            remaining = candidate.quota.remaining(now)
            if remaining > most:
                best, most = candidate, remaining
        return best

    def claim(self, owner: Threads | AbstractEventLoop) -> None:
        super().claim(owner)
        for quota in self.quotas.values():
            quota.claim(owner)
