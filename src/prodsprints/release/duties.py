"""What a worker does besides releases: it keeps the ledger, runs drills, tells, watches, and refreshes mirrors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from prodsprints.controls.dns import names
from prodsprints.controls.integrations import parts
from prodsprints.controls.integrations.guards_seen import GuardsSeen
from prodsprints.controls.integrations.mirror_duty import MirrorDuty
from prodsprints.controls.integrations.monitor import Monitor
from prodsprints.controls.integrations.notifier import Notifier
from prodsprints.controls.providers.dependencies.telling import Teller
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas.clerk import QuotaClerk
from prodsprints.drills import runs
from prodsprints.drills.runner import Runner
from prodsprints.drills.schedule import Slot
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.register import wiring
from prodsprints.register.load import load
from prodsprints.register.verifications import Verifier
from prodsprints.release.mirrors import mirrors
from prodsprints.store.address import Address
from prodsprints.store.database import Database


class Duties:
    """What one worker does besides releases; it beats for all of it under the same id."""

    def __init__(self, db: Database, settings: Settings, worker: str, guards: Guards) -> None:
        self._db = db
        self._catalog = wiring.catalog(load())
        keyring = Keyring.open(settings.home)
        admin = Address.parse(settings.admin_database_url) if settings.admin_database_url else None
        witness = Witness.open(settings)
        self._sequencer = Sequencer(db, keyring, witness)
        self._verifier = Verifier(db, keyring, witness)
        self._notifier = Notifier(db, settings, guards, worker=worker)
        self._runner = Runner(db, settings, keyring, self._catalog, worker, admin=admin, slots=self._slots)
        self._monitor = Monitor(
            db, worker, names=names.of_this_process(), own=parts.looks(db, settings), guards=GuardsSeen(db)
        )
        self._teller = Teller(db, worker)
        self._quotas = QuotaClerk(db, settings.home, guards)
        self._mirrors = MirrorDuty(db, settings.node, partial(mirrors, db, settings, guards))

    def start(self) -> None:
        """Begin; returns at once."""
        self._sequencer.start()
        self._verifier.start()
        self._notifier.start()
        self._runner.start()
        self._monitor.start()
        self._teller.start()
        self._mirrors.start()
        self._quotas.start()

    def stop(self) -> None:
        """Take no more; what waits, waits for the next worker."""
        self._quotas.stop()
        self._mirrors.stop()
        self._teller.stop()
        self._monitor.stop()
        self._runner.stop()
        self._notifier.stop()
        self._verifier.stop()
        self._sequencer.stop()

    def _slots(self) -> Sequence[Slot]:
        # What was drilled somewhere once is drilled there again: nobody is surprised by a fault that nobody asked for.
        known = {(drill.experiment.row, drill.experiment.variant) for drill in self._catalog.all()}
        return [slot for slot in runs.drilled(self._db) if (slot.row, slot.variant) in known]
