"""The ledger as its users see it: what is appended is there, once, for its tenant, in order, and proven."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.ledger import merkle, people
from prodsprints.ledger.errors import (
    ForeignEvidenceError,
    KeyLostError,
    LedgerTamperedError,
    NoSuchEntryError,
    NotSequencedError,
    ReplayedError,
    StatementError,
)
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.statement import PredicateType, Statement
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres

Says = Callable[..., Statement]
TABLES = ("ledger_statements", "ledger_entries", "ledger_nodes", "ledger_checkpoints", "ledger_queue")


def test_what_was_appended_is_read_back_in_order(
    ledger: Ledger, sequencer: Sequencer, says: Says, tenant: UUID
) -> None:
    said = [says(PredicateType.TEST_RESULT), says(PredicateType.REVIEW), says()]
    receipts = [ledger.append(one) for one in said]
    assert ledger.entries() == []
    assert ledger.size() == 0
    sequencer.sequence(tenant)
    entries = ledger.entries()
    assert [entry.statement for entry in entries[1:]] == said
    assert [entry.index for entry in entries] == [0, 1, 2, 3]
    assert [receipt.digest for receipt in receipts] == [one.digest for one in said]
    assert ledger.wait(receipts[1]) == ledger.entry(2) == entries[2]
    assert ledger.entries(after=1, limit=1) == entries[2:3]
    assert ledger.entries(after=3) == []
    assert ledger.size() == 4


def test_the_same_statement_twice_is_a_replay(ledger: Ledger, sequencer: Sequencer, says: Says, tenant: UUID) -> None:
    said = says()
    ledger.append(said)
    for _ in range(2):
        with pytest.raises(ReplayedError, match=said.digest[:12]):
            ledger.append(said)
        sequencer.sequence(tenant)
    assert ledger.size() == 2


def test_the_same_statement_at_once_is_taken_once(
    ledger: Ledger, sequencer: Sequencer, says: Says, tenant: UUID
) -> None:
    said, outcomes = says(), []

    def append() -> None:
        try:
            outcomes.append(ledger.append(said).digest)
        except ReplayedError:
            outcomes.append("replayed")

    in_threads(12, append)
    sequencer.sequence(tenant)
    assert sorted(outcomes) == sorted([said.digest, *["replayed"] * 11])
    assert ledger.size() == 2


def test_one_bad_statement_among_many_at_once_is_the_only_one_refused(
    ledger: Ledger, sequencer: Sequencer, says: Says, tenant: UUID
) -> None:
    ledger.append(says())
    failed: list[str] = []

    def append(number: int) -> None:
        try:
            ledger.append(says(text="x" * 70_000) if number == 5 else says(number=number))
        except StatementError:
            failed.append(str(number))

    threads = [threading.Thread(target=append, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sequencer.sequence(tenant)
    assert failed == ["5"]
    assert ledger.size() == 2 + 11


def test_those_who_append_at_the_same_time_share_commits(
    ledger: Ledger, sequencer: Sequencer, says: Says, tenant: UUID, postgres: EmbeddedPostgres
) -> None:
    ledger.append(says())
    in_threads(8, lambda: [ledger.append(says()) for _ in range(20)])
    with psycopg.connect(postgres.admin_address().conninfo) as owner:
        counted = "select count(*), count(distinct xmin::text) from ledger_statements where tenant_id = %s"
        statements, commits = owner.execute(counted, [tenant]).fetchone() or (0, 0)
    assert statements == 2 + 160
    assert commits <= 2 + 160 / 2


def test_an_append_that_fails_with_others_leaves_the_way_free(
    ledger: Ledger, keyring: Keyring, sequencer: Sequencer, says: Says, tenant: UUID, settings: Settings
) -> None:
    ledger.append(says())
    keys = settings.home / "secrets" / "keys" / f"{tenant}.json"
    kept, lost = keys.with_suffix(".kept"), []
    keys.rename(kept)

    def append() -> None:
        with pytest.raises(KeyLostError) as raised:
            ledger.append(says())
        lost.append(raised.value)

    in_threads(8, append)
    kept.rename(keys)
    in_threads(8, lambda: ledger.append(says()))
    sequencer.sequence(tenant)
    assert len(lost) == 8
    assert ledger.size() == 2 + 8


def in_threads(count: int, act: Callable[[], object]) -> None:
    threads = [threading.Thread(target=act) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)


def test_a_statement_for_another_tenant_is_refused(ledger: Ledger, says: Says) -> None:
    with pytest.raises(ForeignEvidenceError):
        ledger.append(says(of=uuid4()))


def test_waiting_without_a_sequencer_ends_with_what_to_do(ledger: Ledger, says: Says) -> None:
    receipt = ledger.append(says())
    with pytest.raises(NotSequencedError, match="Nothing is lost"):
        ledger.wait(receipt, timeout_seconds=0.05)


@pytest.mark.parametrize("index", [-1, 2, 2**70])
def test_an_index_that_the_log_does_not_have_is_said(
    ledger: Ledger, sequencer: Sequencer, says: Says, index: int, tenant: UUID
) -> None:
    ledger.append(says())
    sequencer.sequence(tenant)
    for look in (ledger.entry, ledger.inclusion):
        with pytest.raises(NoSuchEntryError):
            look(index)
    with pytest.raises(NoSuchEntryError):
        ledger.consistency(index + 1)


def test_every_entry_and_every_older_size_is_proven_also_beyond_the_stored_subtrees(
    ledger: Ledger, sequencer: Sequencer, says: Says, tenant: UUID
) -> None:
    for number in range(600):
        ledger.append(says(number=number))
        if number in {100, 300}:
            sequencer.sequence(tenant)
    sequencer.sequence(tenant)
    entries = ledger.entries()
    leaves = []
    for index in (0, 1, 255, 256, 511, 512, 600):
        proof = ledger.inclusion(index)
        assert merkle.verify_inclusion(proof.leaf, index, 601, proof.hashes, proof.checkpoint.root)
        leaves.append(proof.leaf)
    assert len(set(leaves)) == 7
    for size in (1, 102, 256, 302, 512, 600, 601):
        proof = ledger.consistency(size)
        assert merkle.verify_consistency(size, 601, proof.leaf, proof.checkpoint.root, proof.hashes)
    for after in (-1, 254, 255, 256, 510, 598):
        assert ledger.entries(after=after, limit=3) == entries[after + 1 : after + 4]


def test_tenants_do_not_see_each_others_logs(
    ledger: Ledger, sequencer: Sequencer, database: Database, keyring: Keyring, says: Says, tenant: UUID
) -> None:
    ledger.append(says())
    sequencer.sequence(tenant)
    with database.dispatch() as connection:
        row = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"]
        ).fetchone()
    assert row is not None
    assert Ledger(database, row["id"], keyring).entries() == []
    for table in TABLES:
        with database.tenant(row["id"]) as connection:
            assert connection.execute(f"select from {table}".encode()).fetchall() == []


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("verb", ["update {} set tenant_id = tenant_id", "delete from {}", "truncate {}"])
def test_nobody_may_change_what_is_in_the_log(database: Database, tenant: UUID, table: str, verb: str) -> None:
    takes_from_the_queue = (table, verb) == ("ledger_queue", "delete from {}")
    for act in (lambda: database.tenant(tenant), database.sequencer, database.dispatch, database.auth):
        if takes_from_the_queue and act == database.sequencer:
            continue
        with pytest.raises(psycopg.errors.InsufficientPrivilege), act() as connection:
            connection.execute(verb.format(table).encode())


@pytest.mark.parametrize("table", ["ledger_entries", "ledger_nodes", "ledger_checkpoints"])
def test_a_tenant_may_not_write_the_log_itself(database: Database, tenant: UUID, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.tenant(tenant) as connection:
        connection.execute(f"insert into {table} default values".encode())


def test_the_sequencer_sees_digests_and_no_content(database: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.sequencer() as connection:
        connection.execute("select envelope from ledger_statements")


def test_a_change_to_the_rest_of_the_log_shows_in_any_page_of_it(
    sequenced: Callable[[int], Ledger], database: Database, tenant: UUID, postgres: object
) -> None:
    ledger = sequenced(20)
    with psycopg.connect(postgres.admin_address().conninfo) as owner:  # type: ignore[attr-defined]
        owner.execute("update ledger_entries set leaf = sha256(leaf) where tenant_id = %s and index = 3", [tenant])
    for after in (-1, 2, 10):
        with pytest.raises(LedgerTamperedError):
            ledger.entries(after=after, limit=2)
    for look in (lambda: ledger.inclusion(10), lambda: ledger.consistency(10)):
        with pytest.raises(LedgerTamperedError):
            look()


def test_a_person_is_always_the_same_reference_until_the_name_is_erased(database: Database, tenant: UUID) -> None:
    ada = people.reference(database, tenant, "ada")
    assert people.reference(database, tenant, "ada") == ada
    assert people.reference(database, tenant, "grace") != ada
    assert people.names(database, tenant, [ada, str(uuid4()), "nonsense"]) == {ada: "ada"}
    assert people.names(database, uuid4(), [ada]) == {}
    assert people.erase(database, tenant, "ada")
    assert not people.erase(database, tenant, "ada")
    assert people.names(database, tenant, [ada]) == {}
    assert people.reference(database, tenant, "ada") != ada
