"""What one run of a drill did to its row: the status just before its evidence, and just after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from prodsprints.drills import runs
from prodsprints.drills.runs import DrillRun
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.ledger.log import Entry
from prodsprints.register.model import Mitigation
from prodsprints.register.standing import Incident, RowStanding, Standing, fold
from prodsprints.register.status import Status, status_of
from prodsprints.web.site import Site

# A failure is over after three passes: what lies further back decides nothing about the status just before.
_LOOKED_BACK = 12


@dataclass(frozen=True)
class Moved:
    """The row's status before and after."""

    before: Status
    after: Status


def by(here: Site, tenant_id: UUID, run: DrillRun) -> Moved | None:
    """What `run` did; None while it has no evidence, or where nothing can be said of its row any more.

    Replayed from the signed evidence of the row's last runs, as it stood in the log at that moment.
    """
    row = next((one for one in here.register_of(tenant_id).mitigations if one.id == run.row), None)
    if run.evidence_index is None or run.digest is None or row is None:
        return None
    try:
        before, entry = _evidence(here, tenant_id, run, run.evidence_index)
        now = here.assessor.standing(tenant_id)
        digests = {drill.experiment.variant: drill.digest for drill in here.catalog.drills(row.id)}
    except ProdSprintsError:
        return None
    told = _Told(row, run, digests | {run.variant: run.digest}, tuple(now.incidents.values()), now)
    earlier = fold(Standing(str(tenant_id)), before)
    return Moved(told.status(earlier, entry, entry.index), told.status(fold(earlier, [entry]), entry, entry.index + 1))


@dataclass(frozen=True)
class _Told:
    row: Mitigation
    run: DrillRun
    digests: dict[str, str]
    incidents: tuple[Incident, ...]
    now: Standing

    def status(self, standing: Standing, entry: Entry, size: int) -> Status:
        """The row's status when the log had `size` entries, at the moment of `entry`."""
        environment = self.run.environment
        signed = self.now.row(environment, self.row.id).attestation
        drilled = RowStanding(
            standing.row(environment, self.row.id).variants, signed if signed and signed.index < size else None
        )
        known = [one for one in self.incidents if one.environment == environment and one.declared.index < size]
        # One that this very drill lifted contradicted before, and does not after.
        contradicting = [replace(one, lifted=None) for one in known if one.lifted is None or one.lifted.index >= size]
        return status_of(self.row, drilled, contradicting, self.digests, environment, entry.at).status


def _evidence(here: Site, tenant_id: UUID, run: DrillRun, index: int) -> tuple[list[Entry], Entry]:
    """The entries of the row's runs before this one, oldest first, and its own."""
    found = runs.runs(
        here.db, tenant_id, row=run.row, environment=run.environment, before=run.position, limit=_LOOKED_BACK
    )
    earlier = sorted(
        one.evidence_index for one in found if one.evidence_index is not None and one.evidence_index < index
    )
    ledger = here.ledger(tenant_id)
    return [ledger.entry(one) for one in earlier], ledger.entry(index)
