"""The sequencer: every statement gets one place, whoever is killed, whoever else is at it, whatever the clock says."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from prodsprints.kernel.settings import Settings
from prodsprints.ledger.errors import KeyLostError, LedgerTamperedError
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import LOCK, Sequencer
from prodsprints.ledger.statement import Statement
from prodsprints.ledger.verification import verify_log
from prodsprints.ledger.witness import Witness
from prodsprints.store.address import Address
from prodsprints.store.database import Connection, Database
from prodsprints.store.embedded import EmbeddedPostgres

Says = Callable[..., Statement]


@pytest.fixture
def owner(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    with psycopg.connect(postgres.admin_address().conninfo, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@contextmanager
def working(*sequencers: Sequencer) -> Iterator[None]:
    for one in sequencers:
        one.start()
    try:
        yield
    finally:
        for one in sequencers:
            one.stop()


def test_a_sequencer_killed_at_any_of_its_lines_loses_nothing_and_places_nothing_twice(
    database: Database,
    tenant: UUID,
    ledger: Ledger,
    keyring: Keyring,
    witness: Witness,
    settings: Settings,
) -> None:
    script = Path(__file__).parent / "support_kills.py"
    done = subprocess.run(
        [sys.executable, str(script), database.address.conninfo, str(settings.home), str(tenant)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills, ended = map(int, done.stdout.split())
    assert kills > 40
    assert ended == 0
    entries = ledger.entries(limit=10_000)
    assert [entry.index for entry in entries] == list(range(len(entries)))
    killed_at = [entry.statement.predicate["kill"] for entry in entries[1:]]
    assert killed_at == sorted(set(killed_at))
    assert killed_at[0] == 0
    assert len(killed_at) > 5
    assert verify_log(database, tenant, keyring, witness).holds
    last = witness.last(tenant)
    assert last is not None
    assert last.size == len(entries)


def test_sequencers_side_by_side_give_each_statement_one_place(
    database: Database, tenant: UUID, keyring: Keyring, settings: Settings, says: Says
) -> None:
    ledger = Ledger(database, tenant, keyring)
    with working(*(Sequencer(database, keyring, Witness.open(settings)) for _ in range(3))):
        writers = [threading.Thread(target=lambda: [ledger.append(says()) for _ in range(25)]) for _ in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        ledger.wait(ledger.append(says()), timeout_seconds=30)
    entries = ledger.entries()
    assert [entry.index for entry in entries] == list(range(102))
    assert len({entry.statement.digest for entry in entries}) == 102
    assert verify_log(database, tenant, keyring, Witness.open(settings)).holds


@pytest.fixture
def hour_ahead(database: Database, owner: Connection) -> Iterator[Database]:
    """The same database, on connections whose clock is an hour ahead."""
    owner.execute(
        "create function public.clock_timestamp() returns timestamptz language sql"
        " return pg_catalog.clock_timestamp() + interval '1 h'"
    )
    conninfo = make_conninfo(database.address.conninfo, options="-c search_path=public,pg_catalog")
    ahead = Database(Address(conninfo), max_connections=1)
    yield ahead
    ahead.close()
    owner.execute("drop function public.clock_timestamp()")


def test_a_clock_that_goes_backwards_does_not_take_the_log_with_it(
    hour_ahead: Database, database: Database, tenant: UUID, keyring: Keyring, witness: Witness, says: Says
) -> None:
    ledger = Ledger(database, tenant, keyring)
    ledger.append(says())
    Sequencer(hour_ahead, keyring, witness).sequence(tenant)
    ledger.append(says())
    Sequencer(database, keyring, witness).sequence(tenant)
    before, after = ledger.entries()[-2:]
    assert before.at == after.at
    assert verify_log(database, tenant, keyring, witness).holds


def test_a_log_that_was_taken_back_is_not_continued(
    sequenced: Callable[[int], Ledger],
    database: Database,
    tenant: UUID,
    keyring: Keyring,
    settings: Settings,
    says: Says,
    owner: Connection,
) -> None:
    ledger = sequenced(8)
    for table, column in (("entries", "index"), ("checkpoints", "size")):
        owner.execute(f"delete from ledger_{table} where tenant_id = %s and {column} > 5".encode(), [tenant])
    owner.execute("delete from ledger_entries where tenant_id = %s and index = 5", [tenant])
    ledger.append(says())
    with pytest.raises(LedgerTamperedError, match="5 entries; 9 were witnessed"):
        Sequencer(database, keyring, Witness.open(settings)).sequence(tenant)
    owner.execute("delete from ledger_checkpoints where tenant_id = %s", [tenant])
    with pytest.raises(LedgerTamperedError, match="0 entries; 9 were witnessed"):
        Sequencer(database, keyring, Witness.open(settings)).sequence(tenant)


def test_a_log_that_was_continued_elsewhere_is_not_continued_here(
    sequenced: Callable[[int], Ledger],
    database: Database,
    tenant: UUID,
    keyring: Keyring,
    witness: Witness,
    tmp_path: Path,
    settings: Settings,
    says: Says,
    owner: Connection,
) -> None:
    """A copy of the database and of the keys, with another witness: an honest platform that was restored twice."""
    ledger = sequenced(4)
    kept = {
        table: owner.execute(f"table {table}".encode()).fetchall() for table in ("ledger_entries", "ledger_checkpoints")
    }
    sequenced(4)
    for table, rows in kept.items():
        owner.execute(f"delete from {table} where tenant_id = %s".encode(), [tenant])
        for row in (row for row in rows if row["tenant_id"] == tenant):
            owner.execute(f"insert into {table} values ({', '.join(['%s'] * len(row))})".encode(), list(row.values()))
    elsewhere = Witness.open(replace(settings, home=tmp_path))
    for _ in range(9):
        ledger.append(says())
    Sequencer(database, keyring, elsewhere).sequence(tenant)
    ledger.append(says())
    with pytest.raises(LedgerTamperedError, match="does not continue the one that was witnessed at 9"):
        Sequencer(database, keyring, witness).sequence(tenant)
    report = verify_log(database, tenant, keyring, witness)
    assert {finding.kind for finding in report.findings} >= {"forked"}


def test_a_sequencer_without_the_keys_leaves_the_log_to_one_that_has_them(
    database: Database,
    tenant: UUID,
    keyring: Keyring,
    sequencer: Sequencer,
    settings: Settings,
    tmp_path: Path,
    says: Says,
) -> None:
    ledger = Ledger(database, tenant, keyring)
    receipt = ledger.append(says())
    elsewhere = replace(settings, home=tmp_path)
    with pytest.raises(KeyLostError, match="no keys for the log"):
        Sequencer(database, Keyring.open(tmp_path), Witness.open(elsewhere)).sequence(tenant)
    sequencer.sequence(tenant)
    assert ledger.wait(receipt).index == 1


def test_a_statement_of_another_homes_keys_does_not_get_into_the_log(
    database: Database,
    tenant: UUID,
    ledger: Ledger,
    keyring: Keyring,
    witness: Witness,
    sequencer: Sequencer,
    tmp_path: Path,
    says: Says,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger.append(says())
    foreign = Keyring.open(tmp_path)
    foreign.create(tenant)
    Ledger(database, tenant, foreign).append(says())
    sequencer.sequence(tenant)
    assert ledger.size() == 2
    assert "foreign keys" in caplog.text
    assert verify_log(database, tenant, keyring, witness).holds


def test_what_waits_while_another_sequencer_is_at_it_is_not_touched(
    ledger: Ledger, sequencer: Sequencer, database: Database, says: Says
) -> None:
    ledger.append(says())
    with database.sequencer() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        assert sequencer.look() is None
    assert sequencer.look() == 2


def test_one_log_that_cannot_be_continued_does_not_hold_up_the_others(
    database: Database, ledger: Ledger, keyring: Keyring, sequencer: Sequencer, settings: Settings, says: Says
) -> None:
    with database.dispatch() as connection:
        row = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"]
        ).fetchone()
    assert row is not None
    lost = Ledger(database, row["id"], keyring)
    lost.append(says(of=row["id"]))
    (settings.home / "secrets" / "keys" / f"{row['id']}.json").unlink()
    receipt = ledger.append(says())
    with working(sequencer):
        assert ledger.wait(receipt).index == 1


def test_an_idle_sequencer_costs_next_to_nothing_and_is_there_at_once(
    ledger: Ledger, sequencer: Sequencer, says: Says
) -> None:
    with working(sequencer):
        ledger.wait(ledger.append(says()))
        began, spent = time.monotonic(), time.process_time()
        threading.Event().wait(1.0)
        assert (time.process_time() - spent) / (time.monotonic() - began) < 0.1
        waits = []
        for _ in range(10):
            began = time.monotonic()
            ledger.wait(ledger.append(says()))
            waits.append(time.monotonic() - began)
    assert sorted(waits)[5] < 0.25
