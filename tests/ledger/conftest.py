"""A ledger that is being sequenced, and statements to put into it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database

Says = Callable[..., Statement]


@pytest.fixture
def says(tenant: UUID) -> Says:
    """Makes statements of the tenant: one of a drill that passed, or of another type."""

    def statement(type: PredicateType = PredicateType.OPERATION, *, of: UUID = tenant, **more: object) -> Statement:
        said = {"tenant": str(of), "nonce": uuid4().hex, **more}
        predicate = {"result": "PASSED", "drill": said} if type is PredicateType.TEST_RESULT else said
        return Statement(type, (Subject("R001.1", "ab" * 32),), predicate)

    return statement


@pytest.fixture
def keyring(settings: Settings) -> Keyring:
    return Keyring.open(settings.home)


@pytest.fixture
def witness(settings: Settings) -> Witness:
    return Witness.open(settings)


@pytest.fixture
def ledger(database: Database, tenant: UUID, keyring: Keyring) -> Ledger:
    return Ledger(database, tenant, keyring)


@pytest.fixture
def sequencer(database: Database, keyring: Keyring, witness: Witness) -> Sequencer:
    """One that works when the test says so."""
    return Sequencer(database, keyring, witness)


@pytest.fixture
def sequenced(ledger: Ledger, sequencer: Sequencer, says: Says) -> Callable[[int], Ledger]:
    """The ledger with so many more statements in it, each of them in a batch with up to three others."""

    def fill(count: int) -> Ledger:
        for number in range(count):
            ledger.append(says(number=number))
            if number % 4 == 3:
                sequencer.sequence(ledger.tenant_id)
        sequencer.sequence(ledger.tenant_id)
        return ledger

    return fill
