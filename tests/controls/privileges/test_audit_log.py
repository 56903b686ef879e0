"""The audit log: what was done by whom, in order, and whole; and its drill, in which only the ledger notices."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from prodsprints.controls.privileges import auditor, refusals
from prodsprints.controls.privileges.audit_log import AuditLog
from prodsprints.controls.privileges.bare_log import BareLog, rows, tampered
from prodsprints.controls.privileges.owner import KINDS
from prodsprints.kernel.settings import Settings
from prodsprints.ledger import people
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.store import scratch
from prodsprints.store.database import Connection, Database
from prodsprints.store.embedded import EmbeddedPostgres

DONE = [("ada", "grant", "role/admin"), ("grace", "unlock", "shop/production"), ("ada", "révoke", "role/admin")]


@pytest.fixture
def wired(settings: Settings, database: Database, tenant: UUID) -> tuple[AuditLog, Sequencer, Ledger, Keyring]:
    keyring, witness = Keyring.open(settings.home), Witness.open(settings)
    ledger = Ledger(database, tenant, keyring)
    log = AuditLog(database, ledger, keyring=keyring, witness=witness)
    return log, Sequencer(database, keyring, witness), ledger, keyring


def test_what_was_done_is_read_in_order_until_a_name_is_erased(
    wired: tuple[AuditLog, Sequencer, Ledger, Keyring], database: Database, tenant: UUID
) -> None:
    log, sequencer, _, _ = wired
    for operation in DONE:
        log.record(*operation)
    sequencer.sequence(tenant)
    assert [(one.person, one.action, one.subject) for one in log.operations()] == DONE
    assert [one.index for one in log.operations(after=1)] == [2, 3]
    people.erase(database, tenant, "ada")
    assert [one.person for one in log.operations()] == ["", "grace", ""]
    assert log.verify().holds


def test_names_are_nowhere_in_what_is_signed(wired: tuple[AuditLog, Sequencer, Ledger, Keyring], tenant: UUID) -> None:
    log, sequencer, ledger, _ = wired
    log.record("wendelin", "grant", "role/admin")  # no name that a hash could spell
    sequencer.sequence(tenant)
    assert b"wendelin" not in b"".join(entry.envelope.payload for entry in ledger.entries())


def test_an_auditor_with_other_tools_agrees_and_nothing_else_is_taken(
    wired: tuple[AuditLog, Sequencer, Ledger, Keyring], database: Database, tenant: UUID, settings: Settings
) -> None:
    log, sequencer, ledger, keyring = wired
    for number in range(300):
        log.record("ada", "grant", f"rôle/{number}")
    sequencer.sequence(tenant)
    with database.tenant(tenant) as connection:
        assert auditor.complaint(connection, tenant) == ""
    assert refusals.wrong_proofs(ledger) == ""
    assert refusals.taken(ledger, keyring, Witness.open(settings)) == []


@pytest.fixture
def owned(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    with (
        scratch.database(postgres.admin_address("postgres")) as address,
        psycopg.connect(address.conninfo, autocommit=True, row_factory=dict_row) as connection,
    ):
        yield connection


def test_a_plain_table_is_changed_in_each_way_without_a_word_and_put_back(owned: Connection) -> None:
    from random import Random

    log = BareLog(owned)
    log.record(DONE * 3)
    before = rows(owned)
    for kind in KINDS:
        with tampered(owned, kind, Random(kind)):  # noqa: S311 - seeded on purpose
            assert rows(owned) != before
            assert log.wrong() == ""
        assert rows(owned) == before
