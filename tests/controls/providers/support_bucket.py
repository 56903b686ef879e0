"""The arithmetic of fleet_bucket (0006_fleet.sql) as a model, and who tries to get more out of it than its bound."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import floor, inf
from typing import Any

from prodsprints.controls.providers.leases import TTL_SECONDS


@dataclass
class Bucket:
    """One row of fleet_buckets. `now` is the store's time; a test holds this model against the real function."""

    rate: float
    burst: float
    at: float
    tokens: float = -1.0
    frozen_until: float = -inf
    thaws: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.burst if self.tokens < 0 else self.tokens

    def ask(self, ask: dict[str, Any], now: float, *, recovering: bool = False) -> dict[str, Any]:
        """As fleet_bucket(ask, recovering)."""
        self._refill(now, recovering)
        if now + ask.get("freeze", -inf) > self.frozen_until:
            self.frozen_until = now + ask["freeze"]
            self._refill(now, recovering)
        granted = 0
        if self.frozen_until <= now:
            for tokens, of in ask.get("back", ()):
                self.tokens += max(0.0, tokens - self.rate * max(0.0, now - of))
            self.tokens = min(self.burst, self.tokens)
            granted = min(floor(ask.get("want", 0)), floor(self.tokens))
            self.tokens -= granted
        return {
            "granted": granted,
            "left": self.tokens,
            "next": max(0.0, (1 - self.tokens) / self.rate),
            "thaws": self.thaws,
            "frozen": max(0.0, self.frozen_until - now),
            "of": now,
        }

    def thaw(self, now: float) -> None:
        """As fleet_thaw of a frozen scope."""
        self.frozen_until, self.tokens, self.at = -inf, 0.0, now
        self.thaws += 1

    def _refill(self, now: float, recovering: bool) -> None:
        if self.frozen_until > now:
            self.tokens, self.at = 0.0, self.frozen_until
        elif self.at > now:
            self.at = now
        elif recovering:
            self.tokens, self.at = 0.0, now
        else:
            self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
            self.at = now


def bound(rate: float, burst: float, workers: int, batch: float) -> float:
    """The most that may be spent in any second."""
    return burst + rate + min(workers * batch, rate * TTL_SECONDS)


def most_in_a_second(spent: Iterable[tuple[float, int]]) -> int:
    """The most tokens that were spent within any one second, both of its ends included."""
    events = sorted(spent)
    times = [at for at, _ in events]
    sums = [0]
    for _, tokens in events:
        sums.append(sums[-1] + tokens)
    return max((sums[bisect_right(times, at + 1.0)] - sums[index] for index, at in enumerate(times)), default=0)


@dataclass
class Hoarder:
    """A worker that asks for all it can get, and keeps it for as long as it is good."""

    held: list[list[float]] = field(default_factory=list)

    def ask(self, bucket: Bucket, want: int, *, sent: float, arrives: float) -> None:
        """A request that was sent before it arrived: the lease counts from the former."""
        answer = bucket.ask({"want": want}, arrives)
        if answer["granted"]:
            self.held.append([answer["granted"], sent + TTL_SECONDS, answer["of"]])

    def spend(self, now: float, most: float = inf) -> int:
        """Spend what is still good; returns how much."""
        spent = 0
        for lease in self.held:
            if now < lease[1]:
                part = int(min(lease[0], most - spent))
                lease[0] -= part
                spent += part
        return spent

    def give_back(self, bucket: Bucket, now: float) -> None:
        """All that it holds, good or not."""
        bucket.ask({"back": [[tokens, of] for tokens, _, of in self.held if tokens]}, now)
        self.held.clear()
