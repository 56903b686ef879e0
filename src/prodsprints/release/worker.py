"""The worker: claims releases that wait on its node, runs them as durable workflows, and takes over from the dead."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import uuid
from uuid import UUID

from dbos import DBOS

from prodsprints.controls.providers.fleet import Fleet
from prodsprints.controls.providers.guards import Guards
from prodsprints.guard.profiles import FILE, profiles
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.settings import Settings
from prodsprints.release import dispatch, records, workflow
from prodsprints.release.dispatch import Claim
from prodsprints.release.duties import Duties
from prodsprints.release.run import Run
from prodsprints.release.targets import Target
from prodsprints.release.withdrawal import Withdrawals
from prodsprints.store.address import Address
from prodsprints.store.database import Database
from prodsprints.store.engine import Engine
from prodsprints.store.errors import DatabaseUnavailableError, FencedError
from prodsprints.store.workers import Heartbeat

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_ADOPT_SECONDS = 10.0
_PATIENCE_SECONDS = 120.0
_MOST_AT_ONCE = 4


class Worker:
    """One worker process. Any number may run against one PostgreSQL; each serves the releases of its own node.

    It ends itself when its work has another owner, since it must not write another line, and when its database is away
    for longer than its patience: the next worker goes on where the release stands.
    """

    def __init__(self, settings: Settings, address: Address, target: Target) -> None:
        profiles(overrides=settings.home / FILE)  # a mistake in it is told at once, and not by the first release
        self.id = f"{settings.node}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._settings = settings
        self._target = target
        self._db = Database(address, max_connections=12, patience_seconds=_PATIENCE_SECONDS)
        self._fleet = Fleet(address)
        self._guards = Guards(self._fleet, profiles=settings.home / FILE)
        self._engine = Engine(address, worker=self.id, queue=f"taken-over:{settings.node}")
        self._workflow = DBOS.workflow(name="release")(lambda *ids: self._run(*ids))  # noqa: PLW0108 - DBOS wants a function, no method
        self._heartbeat = Heartbeat(self._db, worker=self.id, node=settings.node, on_reaped=_end)
        self._withdrawals = Withdrawals(self._db, target, worker=self.id, node=settings.node)
        self._duties = Duties(self._db, settings, self.id, self._guards)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="dispatch", daemon=True)
        self._running: set[UUID] = set()

    def start(self) -> None:
        """Begin to work; returns at once."""
        self._heartbeat.start()
        self._engine.launch()
        self._thread.start()
        self._withdrawals.start()
        self._duties.start()
        _log.info("worker %s is ready", self.id)

    def stop(self) -> None:
        """Take no more work and sign off; what is running is taken over by the next worker where it stands."""
        self._stop.set()
        self._thread.join(timeout=5)
        self._duties.stop()
        self._withdrawals.stop()
        self._heartbeat.stop()
        self._engine.stop()
        self._fleet.close()
        self._db.close()

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                while len(self._running) < _MOST_AT_ONCE and (
                    claim := dispatch.claim(self._db, worker=self.id, node=self._settings.node)
                ):
                    self._running.add(claim.release_id)  # the engine begins it in a thread, later than the next look
                    self._engine.start(
                        self._workflow, str(claim.release_id), str(claim.tenant_id), str(claim.release_id)
                    )
                self._take_over()
            except DatabaseUnavailableError as error:
                _log.warning("%s", error.what)
            except Exception:
                _log.exception("dispatch")

    def _take_over(self) -> None:
        orphans = dispatch.orphans(self._db, node=self._settings.node)
        if not orphans:
            return
        with self._db.dispatch() as connection:
            # One at a time in the fleet: the engine doubles work that is resumed twice.
            locked = connection.execute("select pg_try_advisory_xact_lock(hashtext('prodsprints take-over')) as ours")
            if not (locked.fetchone() or {}).get("ours"):
                return
            for orphan in dispatch.orphans(self._db, node=self._settings.node):
                self._resume(orphan)

    def _resume(self, orphan: Claim) -> None:
        found = self._engine.take_over(
            self._workflow,
            str(orphan.release_id),
            str(orphan.tenant_id),
            str(orphan.release_id),
            alive=lambda worker: dispatch.alive(self._db, worker),
        )
        if found in {"started", "resumed"}:
            _log.warning("release %s of a dead worker: %s", orphan.release_id, found)
        elif found == "ended":
            release = records.get(self._db, orphan.tenant_id, orphan.release_id)
            if release is not None:
                records.finish(
                    self._db,
                    release,
                    status="failed",
                    reason="Its workflow ended without a record.",
                    figures={},
                    serves=False,
                    fencing_token=release.fencing_token,
                )

    def _run(self, tenant: str, release_id: str) -> str:
        id = UUID(release_id)
        self._running.add(id)
        try:
            return self._see_through(UUID(tenant), id)
        finally:
            self._running.discard(id)

    def _see_through(self, tenant_id: UUID, id: UUID) -> str:
        release = records.get(self._db, tenant_id, id)
        if release is None or release.status in records.ENDED:
            return release.status if release else "gone"
        environment = records.environment(self._db, tenant_id, release.environment_id)
        assert environment is not None  # noqa: S101 - a foreign key says so
        token = self._adopt(tenant_id, id, environment.lease)
        try:
            run = Run(
                db=self._db,
                settings=self._settings,
                target=self._target,
                guards=self._guards,
                release=release,
                environment=environment,
                worker=self.id,
                fencing_token=token,
                leave=_leave,
            )
            status = workflow.release(run) if release.kind == "release" else workflow.go_back(run)
            dispatch.let_go(self._db, tenant_id, resource=environment.lease, worker=self.id, fencing_token=token)
            return status
        except (FencedError, DatabaseUnavailableError) as error:
            _leave(error)
            raise
        except Exception:
            # What went wrong inside a step is its outcome; this is outside of them, and must not leave a lock behind.
            _log.exception("release %s", id)
            records.finish(
                self._db,
                release,
                status="failed",
                reason="A defect in ProdSprints ended this release.",
                figures={},
                serves=False,
                fencing_token=token,
            )
            raise

    def _adopt(self, tenant_id: UUID, release_id: UUID, resource: str) -> int:
        """The lease of a dead worker ends by itself, at most its time to live after the last heartbeat."""
        deadline = time.monotonic() + _ADOPT_SECONDS
        while True:
            token = dispatch.adopt(self._db, tenant_id, release_id, resource=resource, worker=self.id)
            if token is not None:
                return token
            if time.monotonic() > deadline:
                raise FencedError(
                    f"The lease on {resource} is held by another worker.", next_step="Nothing: that worker carries on."
                )
            time.sleep(0.1)


def serve(settings: Settings, address: Address) -> None:
    """Run one worker until the process that started it ends, or a signal says so."""
    from prodsprints.release.targets.local import LocalTarget
    from prodsprints.runtime import lifeline

    worker = Worker(settings, address, LocalTarget(settings))
    stopped = threading.Event()
    lifeline.watch(stopped.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        worker.start()
        stopped.wait()
    except ProdSprintsError as error:
        _log.error("%s", error)
        raise SystemExit(int(error.exit_code)) from None
    worker.stop()


def _leave(error: ProdSprintsError) -> None:
    _log.error("%s This worker ends; another one carries on.", error)
    _end()


def _end() -> None:
    """End this process at once, without unwinding: what would still be written has another author now."""
    os._exit(75)
