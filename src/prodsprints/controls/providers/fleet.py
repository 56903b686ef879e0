"""What a whole fleet of workers shares about its providers: one thread and one round trip at a time, to PostgreSQL."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from math import inf
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakSet

import psycopg
from psycopg.rows import TupleRow

from prodsprints.controls.providers.breaker import SharedBreaker
from prodsprints.controls.providers.budget import SharedBudget
from prodsprints.controls.providers.leases import Frozen, LeasedBucket
from prodsprints.controls.providers.link import Link, Part
from prodsprints.guard import CircuitBreaker, Clock, GuardInputError, LeaseSource, RetryBudget
from prodsprints.guard.clock import SYSTEM
from prodsprints.store.address import Address

TICK_SECONDS = 0.1
_LONGEST_NAME = 300

_log = logging.getLogger(__name__)

P = TypeVar("P", bound=Part)


class Fleet:
    """This process as one of the workers that share what they know of their providers.

    What it hands out (buckets, breakers, budgets) works from memory; a thread of its own renews it, ten times a second
    and at once when somebody waits. While the store is down everything goes on in this process alone, within its share.
    Processes are counted from the first thing that they share until they end.
    """

    def __init__(self, address: Address, *, clock: Clock = SYSTEM) -> None:
        self.worker = uuid4().hex
        self._address = address
        self._link = Link(clock)
        self._lock = threading.Lock()
        self._buckets: WeakSet[Frozen] = WeakSet()
        self._breakers: WeakSet[SharedBreaker] = WeakSet()
        self._budgets: WeakSet[SharedBudget] = WeakSet()
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._recovering = False
        self._silent = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)

    def limiter(self, scope: str, *, rate: float, burst: float = 1) -> LeaseSource:
        """Tokens of the bucket that all processes of this fleet share under the name `scope`.

        The last one to ask for tokens says how large it is. `burst` should hold a tenth of a second's rate at least, or
        the bucket overflows between two visits.
        """
        return self._joined(self._buckets, LeasedBucket(self._link, _name(scope), rate=rate, burst=burst))

    def unmetered(self, scope: str) -> LeaseSource:
        """For a scope whose limit nobody knows: it is frozen fleet-wide when the provider throttles it."""
        return self._joined(self._buckets, Frozen(self._link, _name(scope)))

    def breaker(
        self,
        name: str,
        *,
        failure_threshold: int = 5,
        recovery_timeout: float = 60.0,
        failures: tuple[type[Exception], ...] = (Exception,),
    ) -> CircuitBreaker:
        """A circuit that opens for all processes when one of them has seen `failure_threshold` failures in a row."""
        return self._joined(
            self._breakers,
            SharedBreaker(
                self._link,
                _name(name),
                failure_threshold=failure_threshold,
                recovery_timeout=recovery_timeout,
                failures=failures,
            ),
        )

    def budget(self, name: str, *, share: float = 0.1, reserve: float = 10) -> RetryBudget:
        """Retries for all processes together: `share` of their successes, with a reserve that a minute refills."""
        return self._joined(self._budgets, SharedBudget(self._link, _name(name), share=share, reserve=reserve))

    @property
    def workers(self) -> int:
        """How many processes were alive when the store last answered."""
        return self._link.workers

    @property
    def answers(self) -> bool:
        """Whether the store answers."""
        return self._link.answers(self._link.now())

    def close(self) -> None:
        """Leave the fleet: the others' share grows at once. What was handed out goes on alone."""
        self._stopping = True
        if self._thread.is_alive():
            self._link.wake()
            self._thread.join(timeout=5)

    def _joined(self, parts: WeakSet[P], part: P) -> P:
        self._link.require_own_process("fleet")
        with self._lock:
            parts.add(part)
            if self._thread.ident is None:
                self._link.sending(self._link.now())
                self._thread.start()
        self._link.wake()
        return part

    def _run(self) -> None:
        while not self._stopping:
            began = self._link.now()
            try:
                self._tick()
                self._silent = False
            except psycopg.Error as error:
                self._hang_up()
                self._recovering = True
                if not self._silent:
                    _log.warning(
                        "The fleet's store does not answer: this process goes on alone. %s", str(error).strip()
                    )
                    self._silent = True
            except Exception:
                _log.exception("fleet")
            self._link.wait(self._next_tick(began) - self._link.now())
        self._leave()

    def _next_tick(self, began: float) -> float:
        if self._silent:
            return began + TICK_SECONDS
        return min([began + TICK_SECONDS, *(part.due() for parts in self._parts().values() for part in parts)])

    def _parts(self) -> dict[str, Sequence[Part]]:
        """Everybody names things in one order, so that no two processes wait for each other."""
        with self._lock:
            kinds: dict[str, Sequence[Part]] = {
                "buckets": list(self._buckets),
                "breakers": list(self._breakers),
                "budgets": list(self._budgets),
            }
        return {kind: sorted(parts, key=lambda part: part.name) for kind, parts in kinds.items()}

    def _tick(self) -> None:
        """One round trip."""
        parts, sent = self._parts(), self._link.now()
        self._link.sending(sent)
        asks: dict[str, Any] = {kind: [part.ask(sent) for part in parts[kind]] for kind in parts}
        asks["recovering"] = self._recovering
        row = self._connected().execute(_TICK, [self.worker, json.dumps(asks, allow_nan=False)]).fetchone()
        answers: dict[str, Any] = row[0] if row else {}
        now = self._link.now()
        self._recovering = False
        self._link.answered(now, sent=sent, workers=int(answers["workers"]))
        for kind, each in parts.items():
            for part, answer in zip(each, answers[kind], strict=True):
                part.answer(answer, sent=sent, now=now)

    def _connected(self) -> psycopg.Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._address.conninfo,
                autocommit=True,
                application_name="prodsprints fleet",
                prepare_threshold=None,  # a pooler may give each request another server
                connect_timeout=2,
                tcp_user_timeout=2000,  # a peer that is gone without a word is noticed, and a new one looked for
                keepalives_idle=2,
                keepalives_interval=1,
                keepalives_count=3,
            )
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _leave(self) -> None:
        try:
            if self._connection is not None:
                self._connection.execute("select fleet_leave(%s)", [self.worker])
        except psycopg.Error:
            pass  # the others find out in three seconds
        self._hang_up()
        self._link.sending(-inf)  # whatever was handed out goes on alone, and waits for nobody


_TICK = "select fleet_tick(%s, %s)"


def _name(name: str) -> str:
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise GuardInputError(
            f"A fleet cannot share {name[:50]!r}.",
            why=f"A name has 1 to {_LONGEST_NAME} printable characters.",
            next_step="Give it such a name.",
        )
    return name
