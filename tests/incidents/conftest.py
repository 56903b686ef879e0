"""A ledger to declare incidents in, and a register's worth of names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid4

import pytest

from prodsprints import incidents
from prodsprints.incidents import Incident
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database

KNOWN = {"R001": ("R001.1", "R001.2"), "S004": ("S004.1", "S004.2")}


@pytest.fixture
def ledger(database: Database, tenant: UUID, settings: Settings) -> Ledger:
    return Ledger(database, tenant, Keyring.open(settings.home))


@pytest.fixture
def sequence(database: Database, settings: Settings, tenant: UUID) -> Callable[[], object]:
    return partial(Sequencer(database, Keyring.open(settings.home), Witness.open(settings)).sequence, tenant)


@pytest.fixture
def other_tenant(database: Database) -> UUID:
    with database.dispatch() as connection:
        row = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"]
        ).fetchone()
    assert row is not None
    return row["id"]


@pytest.fixture
def declare(database: Database, ledger: Ledger) -> Callable[..., Incident]:
    """Declares an incident of R001 in `demo`, or one that differs by what is given."""

    def happened(**changes: object) -> Incident:
        said = {"risk": "R001", "environment": "demo", "title": "Throttled", "what_happened": "All stood still."}
        return incidents.declare(database, ledger, id=uuid4(), known=KNOWN, actor="wendelin", **(said | changes))

    return happened
