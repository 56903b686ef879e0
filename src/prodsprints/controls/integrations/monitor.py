"""The health monitor of a worker: looks at the services of tenants whose lease it holds, and writes down what it saw.

Of all workers one watches a tenant's services (store/leases.py). When it dies, another goes on from what stands in the
database; the time in between is not measured if it is long.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prodsprints.controls.dns.resolver import Resolves
from prodsprints.controls.integrations import pace, parts, services, sightings
from prodsprints.controls.integrations.guards_seen import GuardsSeen
from prodsprints.controls.integrations.health import Observation
from prodsprints.controls.integrations.probe import MOST_AT_ONCE, Look, Prober, Question
from prodsprints.controls.integrations.services import Kind, Service
from prodsprints.store import leases
from prodsprints.store.database import Connection, Database
from prodsprints.store.errors import DatabaseUnavailableError, FencedError
from prodsprints.store.leases import Lease

OWN_TENANT = "default"
"""To whom the platform's own parts belong, and whose services may lie in the platform's own network."""

RESOURCE = "health monitor"

_log = logging.getLogger(__name__)

_REFRESH_SECONDS = 1.0
_FORGET_SECONDS = 3600.0
_MOST_UNWRITTEN = 2_000


@dataclass
class _Watch:
    """One tenant's services, when each is due, what is looked at now, and what was seen and is not yet written down."""

    inward: bool
    lease: Lease | None = None
    services: dict[UUID, Service] = field(default_factory=dict)
    due: dict[UUID, float] = field(default_factory=dict)
    looking: dict[UUID, Future[tuple[Look | None, float]]] = field(default_factory=dict)
    unwritten: deque[tuple[UUID, Observation]] = field(default_factory=lambda: deque(maxlen=_MOST_UNWRITTEN))
    forgot_at: float | None = None


class Monitor:
    """One thread of a worker, whose id is `worker`.

    `own` are looks at the platform's own parts, by their key in `parts.NAMES`; `guards` know how integrations are.
    While the database is away the looks go on, and what was seen is written down once it is back: how long it was away
    itself is known no other way.
    """

    def __init__(
        self,
        db: Database,
        worker: str,
        *,
        names: Resolves,
        own: Mapping[str, Callable[[], Look]],
        guards: GuardsSeen,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._db = db
        self._worker = worker
        self._own = own
        self._guards = guards
        self._prober = Prober(names)
        self._share = share
        self._watches: dict[UUID, _Watch] = {}
        self._refreshed_at: float | None = None
        self._clock = _Clock()
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="health-look")
        self._stopped = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. The leases end by themselves, or with the worker that held them."""
        self._stopped = True
        self._wake.set()
        self._thread.join(timeout=10)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            try:
                self._tick()
            except DatabaseUnavailableError as error:
                _log.warning("%s", error.what)
            except Exception:
                _log.exception("health")
            self._wake.wait(self._rest())

    def _tick(self) -> None:
        for watch in self._watches.values():
            self._collect(watch)
            self._begin(watch)
        now = time.monotonic()
        if self._refreshed_at is None or now - self._refreshed_at >= _REFRESH_SECONDS:
            self._refresh()
        for tenant_id, watch in self._watches.items():
            if watch.unwritten and watch.lease is not None:
                self._write(tenant_id, watch, watch.lease)

    def _refresh(self) -> None:
        """Whose services there are, which of these tenants this worker watches, and what they declared since."""
        with self._db.dispatch(durable=False) as connection:
            for tenant_id, name in self._clock.tenants(connection):
                watch = self._watches.setdefault(tenant_id, _Watch(inward=name == OWN_TENANT))
                watch.lease = leases.acquire(connection, tenant_id, RESOURCE, self._worker)
        for tenant_id, watch in self._watches.items():
            if watch.lease is None:
                watch.services, watch.due = {}, {}
                watch.unwritten.clear()  # another worker has seen it, too
                continue
            with self._db.tenant(tenant_id) as connection:
                if watch.inward:
                    self._know(connection, tenant_id, {service.key for service in watch.services.values()})
                watch.services = {service.id: service for service in services.read(connection)}
            if watch.forgot_at is None or time.monotonic() - watch.forgot_at > _FORGET_SECONDS:
                sightings.forget(self._db, tenant_id, self._clock.at(time.monotonic()))
                watch.forgot_at = time.monotonic()
        self._refreshed_at = time.monotonic()

    def _know(self, connection: Connection, tenant_id: UUID, there: set[str]) -> None:
        """Watch the platform's own parts, and the integrations that its guards have seen by now."""
        kinds: tuple[tuple[Kind, Mapping[str, tuple[str, bool]]], ...] = (
            ("platform", {key: named for key, named in parts.NAMES.items() if key in self._own}),
            ("integration", self._guards.names()),
        )
        for kind, known in kinds:
            if not {services.key_in(kind, key) for key in known} <= there:
                services.know(connection, tenant_id, kind, known)

    def _begin(self, watch: _Watch) -> None:
        now = time.monotonic()
        for id, service in watch.services.items():
            look = self._look_at(service, watch.inward)
            if look is not None and id not in watch.looking and watch.due.get(id, now) <= now:
                future = self._pool.submit(_timed, look)
                watch.looking[id] = future
                future.add_done_callback(lambda _: self._wake.set())

    def _look_at(self, service: Service, inward: bool) -> Callable[[], Look | None] | None:
        if service.url is None:
            kind, _, key = service.key.partition(":")
            return self._own.get(key) if kind == "platform" else lambda: self._guards.look(key)
        question = Question(
            service.url,
            service.expected_status,
            pace.timeout_seconds(service.interval_seconds),
            pace.slow_seconds(service.interval_seconds),
            inward,
        )
        return lambda: self._prober.look(question)

    def _collect(self, watch: _Watch) -> None:
        for id in [id for id, future in watch.looking.items() if future.done()]:
            look, ended = watch.looking.pop(id).result()
            service = watch.services.get(id)
            if service is not None:
                watch.due[id] = ended + self._spacing(service)
                if look is not None:
                    seen = (look.outcome, look.seconds, look.words, look.settled)
                    watch.unwritten.append((id, Observation(self._clock.at(ended), *seen)))

    def _write(self, tenant_id: UUID, watch: _Watch, lease: Lease) -> None:
        try:
            standings = sightings.record(self._db, tenant_id, lease, list(watch.unwritten))
        except FencedError:
            watch.lease = None
            return
        watch.unwritten.clear()
        for id, standing in standings.items():
            service = watch.services[id] = replace(watch.services[id], standing=standing)
            watch.due[id] = min(watch.due[id], time.monotonic() + self._spacing(service))

    def _spacing(self, service: Service) -> float:
        return pace.next_look_seconds(service.standing, service.interval_seconds, self._share())

    def _rest(self) -> float:
        """Until something is due; a look that ends wakes earlier."""
        now = time.monotonic()
        due = [
            at for watch in self._watches.values() for id, at in watch.due.items()
            if id in watch.services and id not in watch.looking
        ]  # fmt: skip
        return min([_REFRESH_SECONDS, *(max(0.0, at - now) for at in due)])


def _timed(look: Callable[[], Look | None]) -> tuple[Look | None, float]:
    return look(), time.monotonic()


class _Clock:
    """The database's time, carried on by a clock that never goes backwards: those of the workers may differ."""

    def __init__(self) -> None:
        self._at = datetime.now(UTC)
        self._read_at = time.monotonic()

    def tenants(self, connection: Connection) -> list[tuple[UUID, str]]:
        """Who watches anything, asked together with the time."""
        rows = connection.execute(
            """
            select id, name, clock_timestamp() as now from tenants
            where name = %s or id in (select tenant_id from watched_services) order by name
            """,
            [OWN_TENANT],
        ).fetchall()
        if rows:
            self._at, self._read_at = rows[0]["now"], time.monotonic()
        return [(row["id"], row["name"]) for row in rows]

    def at(self, moment: float) -> datetime:
        """`moment` of `time.monotonic()` as the database would tell it."""
        return self._at + timedelta(seconds=moment - self._read_at)
