"""The worker's drills: takes what waits, runs it, signs what it showed, and keeps the record."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from prodsprints.drills import engine, evidence, policy, runs, schedule
from prodsprints.drills.catalog import Catalog, Drill
from prodsprints.drills.engine import Event, Result
from prodsprints.drills.runs import Claim, DrillRun
from prodsprints.drills.schedule import Slot
from prodsprints.drills.stage import Arm
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.clock import now
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.errors import NotSequencedError
from prodsprints.ledger.log import Ledger
from prodsprints.store.address import Address
from prodsprints.store.database import Database
from prodsprints.store.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from prodsprints.ledger.keyring import Keyring

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_SCHEDULE_SECONDS = 60.0
_WRITE_SECONDS = 0.2
_SEQUENCED_SECONDS = 30.0
_SCHEDULER = "schedule"


class Runner:
    """One thread of a worker. Drills run one at a time on a node; a drill of a dead worker ends without a verdict.

    `slots` gives what is to be run by itself; it is asked once a minute. `admin` is a PostgreSQL role in which drills
    may create databases.
    """

    def __init__(
        self,
        db: Database,
        settings: Settings,
        keyring: Keyring,
        catalog: Catalog,
        worker_id: str,
        *,
        admin: Address | None = None,
        slots: Callable[[], Sequence[Slot]] = tuple,
    ) -> None:
        self._db = db
        self._settings = settings
        self._keyring = keyring
        self._catalog = catalog
        self._worker = worker_id
        self._admin = admin
        self._slots = slots
        self._since = now()
        self._scheduled_at: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="drills", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more; a drill that is running ends with this worker's process, without a verdict."""
        self._stop.set()
        self._thread.join(timeout=2)

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                self._bury()
                self._enqueue()
                while not self._stop.is_set() and (found := self._claim()):
                    self._play(found)
            except DatabaseUnavailableError as error:
                _log.warning("%s", error.what)
            except Exception:
                _log.exception("drills")

    def _claim(self) -> Claim | None:
        return runs.claim(self._db, worker=self._worker, node=self._settings.node)

    def _bury(self) -> None:
        # Called while this worker runs nothing: a run that still bears its name ended while the database was away.
        for dead, worker in runs.orphans(self._db, idle=self._worker):
            why = "The worker that ran this drill died, or lost the database. It has no verdict; run it again."
            if runs.finish(self._db, dead.tenant_id, dead.id, worker=worker, outcome=Outcome.NONE, reason=why):
                _log.warning("drill run %s of the dead worker %s ends without a verdict", dead.id, worker)

    def _enqueue(self) -> None:
        if self._scheduled_at is not None and time.monotonic() - self._scheduled_at < _SCHEDULE_SECONDS:
            return
        self._scheduled_at = time.monotonic()
        slots = self._slots()
        for slot in schedule.due(slots, self._last(slots), now(), since=self._since):
            runs.request_run(
                self._db,
                slot.tenant_id,
                row=slot.row,
                variant=slot.variant,
                environment=slot.environment,
                actor=_SCHEDULER,
                id=uuid4(),
                scheduled=True,
            )

    def _last(self, slots: Sequence[Slot]) -> dict[Slot, datetime]:
        last: dict[Slot, datetime] = {}
        for tenant_id, environment in sorted({(slot.tenant_id, slot.environment) for slot in slots}):
            known = runs.last_runs(self._db, tenant_id, environment)
            for slot in slots:
                if (slot.tenant_id, slot.environment) == (tenant_id, environment):
                    run = known.get((slot.row, slot.variant))
                    if run is not None:
                        last[slot] = run.created_at
        return last

    def _play(self, found: Claim) -> None:
        run = runs.run(self._db, found.tenant_id, found.id)
        if run is None:
            return
        try:
            self._see_through(found.tenant_id, run)
        except DatabaseUnavailableError:
            raise
        except ProdSprintsError as error:
            self._end(found.tenant_id, run, str(error))
        except Exception:
            _log.exception("drill run %s", run.id)
            self._end(found.tenant_id, run, "A defect in ProdSprints ended this run; the worker's log has the details.")

    def _see_through(self, tenant_id: UUID, run: DrillRun) -> None:
        drill = self._catalog.find(run.row, run.variant)
        placebo = None
        if run.environment not in policy.SCRATCH:
            placebo = runs.newest_placebo(self._db, tenant_id, row=run.row, variant=run.variant, digest=drill.digest)
        refused = policy.refusal(run.row, drill.experiment.safety, run.environment, has_placebo=placebo is not None)
        if refused is not None:
            self._end(tenant_id, run, str(refused))
            return
        with _Record(self._db, tenant_id, run.id) as record:
            result = self._run(drill, tenant_id, run, record)
        self._keep(tenant_id, run, result, placebo)

    def _run(self, drill: Drill, tenant_id: UUID, run: DrillRun, record: _Record) -> Result:
        # Everybody may pass it: as root, PostgreSQL and other peers of a drill run under users of their own.
        directory = Path(tempfile.mkdtemp(prefix="prodsprints-drill-"))
        directory.chmod(0o755)
        scratch = run.environment in policy.SCRATCH
        try:
            return engine.run(
                drill.entry,
                settings=self._settings,
                on_event=record.add,
                directory=directory,
                tenant=tenant_id,
                environment=run.environment,
                admin=self._admin,
                config=self._catalog.config,
                arms=(Arm.PLACEBO, Arm.TREATMENT) if scratch else (Arm.TREATMENT,),
            )
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _keep(self, tenant_id: UUID, run: DrillRun, result: Result, placebo: DrillRun | None) -> None:
        linked = placebo.placebo_journal if placebo else None
        index = None
        if result.outcome is not Outcome.NONE:
            said = evidence.statement(
                result, placebo_journal=linked, placebo_of=placebo.evidence_index if placebo else None
            )
            ledger = Ledger(self._db, tenant_id, self._keyring)
            receipt = ledger.append(said)
            try:
                index = ledger.wait(receipt, timeout_seconds=_SEQUENCED_SECONDS).index
            except NotSequencedError as error:  # stored for good; only its place in the log is not known yet
                _log.warning("%s", error)
        runs.finish(
            self._db,
            tenant_id,
            run.id,
            worker=self._worker,
            outcome=result.outcome,
            reason=result.reason,
            digest=result.digest,
            evidence_index=index,
            treatment_journal=result.treatment_journal,
            placebo_journal=result.placebo_journal or linked,
            measured=result.measured,
        )

    def _end(self, tenant_id: UUID, run: DrillRun, why: str) -> None:
        runs.finish(self._db, tenant_id, run.id, worker=self._worker, outcome=Outcome.NONE, reason=why)


class _Record:
    """Writes a run's events for whoever watches, a few times a second; a database that is away loses no drill."""

    def __init__(self, db: Database, tenant_id: UUID, run_id: UUID) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._run_id = run_id
        self._lock = threading.Lock()
        self._waiting: list[Event] = []
        self._next = 1
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="drill-record", daemon=True)

    def __enter__(self) -> _Record:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def add(self, event: Event) -> None:
        """One event of the engine's."""
        with self._lock:
            self._waiting.append(event)

    def _write_on(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(_WRITE_SECONDS)
            with self._lock:
                batch, self._waiting = self._waiting, []
            if batch:
                with contextlib.suppress(DatabaseUnavailableError):
                    runs.add_events(self._db, self._tenant_id, self._run_id, self._next, batch)
                self._next += len(batch)
