"""Resolves names for whoever connects: from memory while that is fresh, and stale, marked, while no server answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from prodsprints.controls.dns.cache import Bounds, Cache, Freshness, Known
from prodsprints.controls.dns.errors import NameNotFoundError, NoServerAnswersError
from prodsprints.controls.dns.hosts import HOSTS, local
from prodsprints.controls.dns.servers import Servers, canonical

_WITHIN_SECONDS = 10.0
WITHIN_SECONDS_IF_KNOWN = 1.8
"""How long servers are waited for when an older or pinned address is at hand: RFC 8767's client response timer."""

_STRIPES = 32


class Origin(StrEnum):
    """Where an answer is from: two of these are marks, which whoever shows the answer shows too."""

    LOCAL = "local"  # an address, or a line of /etc/hosts
    ANSWERED = "answered"
    STALE = "stale"
    PINNED = "pinned"


@dataclass(frozen=True)
class Answer:
    """The addresses of `name`; how old they are, and where from."""

    name: str
    addresses: tuple[str, ...]
    age_seconds: float
    origin: Origin

    @property
    def stale(self) -> bool:
        """Whether they are older than their zone wants: nobody could be asked."""
        return self.origin is Origin.STALE

    def __str__(self) -> str:
        if self.stale:
            return f"No DNS server answers; {self.name} is where it was {self.age_seconds:.0f} s ago."
        return f"{self.name} is at {', '.join(self.addresses)}."


class Resolves(Protocol):
    """Whatever finds a name's addresses."""

    def resolve(self, name: str, *, within_seconds: float = ...) -> Answer: ...


class Resolver:
    """A caching resolver for one process, for any number of threads.

    One thread asks for a name while the others wait for its answer; a name in use is refreshed beside the answers,
    before it runs out. That a name does not exist is an answer: it ends what was known of it.
    """

    def __init__(
        self,
        servers: Servers,
        bounds: Bounds | None = None,
        *,
        hosts: Path = HOSTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = servers
        self._bounds = bounds or Bounds()
        self._hosts = hosts
        self._clock = clock
        self._cache = Cache()
        self._cache_lock = threading.Lock()
        self._asking = tuple(threading.Lock() for _ in range(_STRIPES))

    def resolve(self, name: str, *, within_seconds: float = _WITHIN_SECONDS) -> Answer:
        """The addresses of `name`. Raises NameNotFoundError, NoServerAnswersError, BadNameError."""
        known_here = local(name, self._hosts)
        if known_here:
            return Answer(name, known_here, 0.0, Origin.LOCAL)
        key = canonical(name)
        known, freshness = self._look(key)
        if known is None or freshness in {Freshness.EXPIRED, Freshness.GONE}:
            with self._stripe(key):
                known, freshness = self._look(key)  # who waited here was asked for by the one before
                if known is None or freshness in {Freshness.EXPIRED, Freshness.GONE}:
                    known, freshness = self._ask(key, None if freshness is Freshness.GONE else known, within_seconds)
        elif freshness is Freshness.DUE:
            threading.Thread(target=self._prefetch, args=(key,), name="dns-prefetch", daemon=True).start()
        origin = Origin.ANSWERED if freshness in {Freshness.FRESH, Freshness.DUE} else Origin.STALE
        return Answer(name, known.addresses, self._clock() - known.received_at, origin)

    def _look(self, key: str) -> tuple[Known | None, Freshness]:
        with self._cache_lock:
            known = self._cache.get(key)
            return known, self._bounds.freshness(known, self._clock()) if known else Freshness.GONE

    def _ask(self, key: str, old: Known | None, within_seconds: float) -> tuple[Known, Freshness]:
        within_seconds = min(within_seconds, WITHIN_SECONDS_IF_KNOWN) if old else within_seconds
        try:
            found = self._servers.ask(key, within_seconds=within_seconds)
        except NameNotFoundError:
            with self._cache_lock:
                self._cache.drop(key)
            raise
        except NoServerAnswersError:
            if old is None:
                raise
            known, freshness = replace(old, failed_at=self._clock()), Freshness.RESTING
        else:
            known, freshness = Known(found.addresses, found.ttl_seconds, self._clock()), Freshness.FRESH
        with self._cache_lock:
            self._cache.put(key, known)
        return known, freshness

    def _prefetch(self, key: str) -> None:
        lock = self._stripe(key)
        if not lock.acquire(blocking=False):
            return  # somebody asks already
        try:
            known, freshness = self._look(key)
            if freshness is Freshness.DUE:
                self._ask(key, known, WITHIN_SECONDS_IF_KNOWN)
        except NameNotFoundError:
            pass  # the next who asks is told
        finally:
            lock.release()

    def _stripe(self, key: str) -> threading.Lock:
        return self._asking[hash(key) % _STRIPES]
