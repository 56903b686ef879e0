"""What the database's owner does to the log: whatever it is, it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from prodsprints.controls.privileges.tampering import EVERY, Tampering, fingerprint, tampered
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.verification import verify_log
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Connection, Database
from prodsprints.store.embedded import EmbeddedPostgres

TRIES = 16


@pytest.fixture
def owner(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    with psycopg.connect(postgres.admin_address().conninfo, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.mark.parametrize("tampering", EVERY, ids=lambda one: one.kind)
def test_what_the_owner_of_the_database_changes_is_detected(
    tampering: Tampering,
    sequenced: Callable[[int], Ledger],
    database: Database,
    tenant: UUID,
    keyring: Keyring,
    witness: Witness,
    owner: Connection,
) -> None:
    sequenced(11)
    before = fingerprint(owner)
    for seed in range(TRIES):
        with tampered(owner, tenant, tampering, Random(seed)) as done:  # noqa: S311 - seeded on purpose
            assert fingerprint(owner) != before
            report = verify_log(database, tenant, keyring, witness)
            assert not report.holds, f"seed {seed}: {done}"
        assert fingerprint(owner) == before
    assert verify_log(database, tenant, keyring, witness).holds
