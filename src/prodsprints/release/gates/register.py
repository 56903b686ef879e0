"""The gate that asks the register: where this release goes, nothing that was proven fails or has become stale."""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from uuid import UUID

from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.witness import Witness
from prodsprints.register import documents, gate, reviews, wiring
from prodsprints.register.assessor import Assessor
from prodsprints.release.gates.result import GateFinding, GateResult
from prodsprints.store.database import Database


def check(
    db: Database, settings: Settings, tenant_id: UUID, *, environment: str, require: Collection[str]
) -> GateResult:
    """What the tenant's register says of a release to `environment`. Raises RegisterError for an unknown `require`."""
    started = time.monotonic()
    keyring, witness = Keyring.open(settings.home), Witness.open(settings)
    assessor = Assessor(db, keyring, witness, wiring.catalog(documents.ours()), partial(documents.register_of, db))
    assessment = assessor.assess(tenant_id, environment)
    register = assessment.register  # the one that was assessed: another may be imported meanwhile
    overdue = reviews.overdue(register.document, reviews.held_of(assessment.standing), assessment.now.date())
    found = gate.check(assessment, register, overdue, require)
    return GateResult(
        passed=found.is_open,
        summary=found.as_text().strip().splitlines()[-1],
        seconds=time.monotonic() - started,
        findings=tuple(GateFinding(str(refusal)) for refusal in found.refusals),
        next_step="" if found.is_open else f"Each is on the page: {settings.address}/risks?environment={environment}.",
    )
