"""Several keys for one provider: each call takes the one with the most quota left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from prodsprints.guard.errors import GuardInputError
from prodsprints.guard.limiter import LeaseSource, Unlimited, Unmetered
from prodsprints.guard.ownership import Owned, Threads
from prodsprints.guard.telemetry import Quota

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Looking for the fullest bucket at every call would cost more than the rest of the pool.
_CALLS_A_TURN = 16
_SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Key:
    """A credential and the quota scope that it draws on: keys of one account share that account's limit."""

    name: str
    secret: str = field(default="", repr=False)
    scope: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class HeldKey:
    """A key in a pool, with the tokens of its scope."""

    key: Key
    quota: LeaseSource


class KeyPool(Owned):
    """Keys of one provider; `quota(scope)` makes the bucket that all keys of that scope share.

    A throttled key's bucket is frozen, and only that one: the others go on. The fused path takes tokens of the
    `current` key by itself while `calls_left` lasts, and then asks for a `change`.
    """

    def __init__(self, keys: Sequence[Key], *, quota: Callable[[str], LeaseSource] | None = None) -> None:
        if not keys:
            raise GuardInputError(
                "A key pool needs at least one key.", next_step="Give it a key, or use a guard without `keys`."
            )
        if len({key.name for key in keys}) < len(keys):
            raise GuardInputError("Two keys of a pool have one name.", next_step="Give each key a name of its own.")
        if any(len(key.secret) >= _SHORTEST_SECRET and key.secret in key.name for key in keys):
            raise GuardInputError(
                "A key's name holds its secret.",
                why="Names stand in metrics, on pages and in logs; secrets never do.",
                next_step="Name the key after its account or its place, not after its value.",
            )
        scopes = dict.fromkeys(key.scope or key.name for key in keys)
        self.quotas = {scope: quota(scope) if quota else Unmetered() for scope in scopes}
        self.held = tuple(HeldKey(key, self.quotas[key.scope or key.name]) for key in keys)
        self.current = self.held[0]
        self.calls_left: float = _CALLS_A_TURN if len(self.held) > 1 else inf

    @classmethod
    def inert(cls) -> KeyPool:
        """No key and no bucket, for calls without this layer."""
        return cls.anonymous(Unlimited())

    @classmethod
    def anonymous(cls, quota: LeaseSource | None = None) -> KeyPool:
        """The pool of a guard whose function brings its own credential: one key without a name."""
        return cls([Key("")], quota=lambda _: Unmetered() if quota is None else quota)

    def change(self, now: float) -> HeldKey | None:
        """The key with the most quota left, the next in turn among equals, a token spent; None if it has none.

        The next calls stay with it.
        """
        after = self.held.index(self.current) + 1
        in_turn = self.held[after:] + self.held[:after]
        self.current = held = max(in_turn, key=lambda held: held.quota.remaining(now))
        self.calls_left = _CALLS_A_TURN if len(self.held) > 1 else inf
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

    def thaws_in(self, now: float) -> float:
        """Seconds until some key is not frozen."""
        return max(0.0, min(quota.frozen_until for quota in self.quotas.values()) - now)

    def frozen_keys(self, now: float) -> tuple[str, ...]:
        """The names of the keys that wait until their provider takes them again."""
        return tuple(held.key.name for held in self.held if held.quota.frozen_until > now)

    def standing(self, now: float) -> tuple[Quota, ...]:
        """Each scope's bucket as it stands, with the names of its keys."""
        return tuple(
            Quota(
                scope=scope,
                shared=getattr(quota, "name", ""),
                keys=tuple(held.key.name for held in self.held if held.quota is quota),
                rate=getattr(quota, "rate", None),
                burst=getattr(quota, "burst", None),
                remaining=remaining if (remaining := quota.remaining(now)) < inf else None,
                frozen_seconds=max(0.0, quota.frozen_until - now),
            )
            for scope, quota in self.quotas.items()
        )

    def claim(self, owner: Threads | AbstractEventLoop) -> None:
        super().claim(owner)
        for quota in self.quotas.values():
            quota.claim(owner)
