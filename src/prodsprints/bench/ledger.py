"""`bench ledger`: appends by eight clients, how long each waits for its place, offline verification, tampering.

The clients are two processes of four threads each, as a worker and a web server are; the peers are measured with the
same ones. All on one PostgreSQL of its own with its usual durability: each append is signed, and is on disk when it
returns. The clients, PostgreSQL and the sequencer share the machine's cores.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median, quantiles
from threading import Event, Thread
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from prodsprints.bench.clients import Clients, Crowd, statement
from prodsprints.bench.report import Figure, Progress, Result, interleave
from prodsprints.bench.scratch import Scratch, scratch
from prodsprints.controls.privileges.tampering import EVERY, tampered
from prodsprints.ledger.bundle import export, verify_bundle
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.verification import verify_log
from prodsprints.ledger.witness import Witness

_CLIENTS = Crowd(processes=2, threads=4)
_ROUNDS = 5
_ROUND_SECONDS = 3.0
_IDLE_APPENDS = 100
_STATEMENTS = 100_000
_VERIFICATIONS = 3
_TRIES = 1_000
_TAMPERED_ENTRIES = 24

# What the ledger is compared with: rows that prove nothing, and the usual way to make them tamper-evident.
_PEERS = """
create table plain_rows (id bigint generated always as identity primary key, said bytea not null);
create table chain_rows (id bigint primary key, envelope bytea not null, hash bytea not null);
create table chain_head (id bigint not null, hash bytea not null);
insert into chain_head values (0, sha256(''));
create function append_to_chain(signed bytea) returns void language plpgsql as $$
declare head chain_head;
begin
  select * into head from chain_head for update;
  insert into chain_rows values (head.id + 1, signed, sha256(head.hash || signed));
  update chain_head set id = head.id + 1, hash = sha256(head.hash || signed);
end $$;
grant select, insert on plain_rows, chain_rows to prodsprints;
grant select, update on chain_head to prodsprints;
"""


def cases(progress: Progress) -> Iterator[Result]:
    """`append`, `lag-p99`, `verify-100k` and `tamper`."""
    with scratch() as platform:
        with psycopg.connect(platform.postgres.admin_address().conninfo) as connection:
            connection.execute(_PEERS)
        yield from _append_and_lag(platform, progress)
        yield _verify(platform, progress)
        yield _tamper(platform, progress)


def _append_and_lag(platform: Scratch, progress: Progress) -> Iterator[Result]:
    tenant = platform.tenant()
    ledger = Ledger(platform.db, tenant, Keyring.open(platform.settings.home))
    ledger.append(statement(tenant, 0))
    with (
        _sequenced(platform),
        Clients(_CLIENTS, platform.postgres.address(), platform.settings.home, tenant) as clients,
    ):
        progress(f"eight clients append for {_ROUND_SECONDS:g} s, {_ROUNDS} times, beside their peers")
        subjects = {
            name: lambda name=name: clients.per_second(name, _ROUND_SECONDS)
            for name in ("ledger", "plain-insert", "hash-chain-under-lock")
        }
        with _watched(platform, tenant) as seen:
            figures = interleave(subjects, _ROUNDS)
            _wait_until_empty(platform)
        peers = {name: figures[name].value for name in list(subjects)[1:]}
        yield Result("ledger", "append", "1/s", figures["ledger"], peers, bound=5_000, at_least=True)
        lags = _lags(platform, tenant, seen)
        progress(f"one statement at a time on an idle platform, {_IDLE_APPENDS} times")
        idle = [_seconds_to_place(ledger, tenant) for _ in range(_IDLE_APPENDS)]
        figure = Figure(_p99(lags), len(lags), min(lags), max(lags))
        yield Result("ledger", "lag-p99", "s", figure, {"idle": _p99(idle), "idle-p50": median(idle)}, bound=0.25)


def _verify(platform: Scratch, progress: Progress) -> Result:
    tenant = platform.tenant()
    ledger = Ledger(platform.db, tenant, Keyring.open(platform.settings.home))
    ledger.append(statement(tenant, 0))
    progress(f"appending {_STATEMENTS:,} statements to be verified")
    with (
        _sequenced(platform),
        Clients(_CLIENTS, platform.postgres.address(), platform.settings.home, tenant) as clients,
    ):
        clients.times("ledger", _STATEMENTS - 2)  # the keys and the statement before are the rest
        _wait_until_empty(platform)
    bundle, keys, checkpoint = export(ledger), ledger.keys, ledger.checkpoint()
    assert checkpoint is not None  # noqa: S101 - the log has entries

    def verify(processes: int | None) -> float:
        began = time.perf_counter()
        report = verify_bundle(bundle, keys=keys, checkpoint=checkpoint, processes=processes)
        assert report.holds and report.size == _STATEMENTS  # noqa: S101 - else the figure means nothing
        return time.perf_counter() - began

    progress(f"verifying {len(bundle) / 1e6:.0f} MB offline, {_VERIFICATIONS} times, with all cores and with one")
    figures = interleave({"ours": lambda: verify(None), "one-process": lambda: verify(1)}, _VERIFICATIONS)
    return Result(
        "ledger", "verify-100k", "s", figures["ours"], {"one-process": figures["one-process"].value}, bound=30
    )


def _tamper(platform: Scratch, progress: Progress) -> Result:
    """As the database's owner, who knows how the log is built, in each way as often; the seed is the try's number."""
    progress(f"changing the log as the database's owner, {_TRIES} times")
    tenant, keyring = platform.tenant(), Keyring.open(platform.settings.home)
    witness, ledger = Witness.open(platform.settings), Ledger(platform.db, tenant, keyring)
    sequencer = Sequencer(platform.db, keyring, witness)
    for number in range(_TAMPERED_ENTRIES):
        ledger.append(statement(tenant, number))
        if number % 3 == 0:
            sequencer.sequence(tenant)
    sequencer.sequence(tenant)
    detected: list[bool] = []
    with psycopg.connect(platform.postgres.admin_address().conninfo, autocommit=True, row_factory=dict_row) as owner:
        owner.execute("set synchronous_commit = off")
        for seed in range(_TRIES):
            tampering = EVERY[seed % len(EVERY)]
            with tampered(owner, tenant, tampering, random.Random(seed)) as done:  # noqa: S311 - repeatable
                detected.append(not verify_log(platform.db, tenant, keyring, witness).holds)
            if not detected[-1]:
                progress(f"not detected: seed {seed}, {done}")
    shares = [sum(detected[first :: len(EVERY)]) / len(detected[first :: len(EVERY)]) for first in range(len(EVERY))]
    figure = Figure(sum(detected) / len(detected), len(detected), min(shares), max(shares))
    return Result("ledger", "tamper", "share detected", figure, bound=1.0, at_least=True)


@contextmanager
def _sequenced(platform: Scratch) -> Iterator[None]:
    home = platform.settings
    sequencer = Sequencer(platform.db, Keyring.open(home.home), Witness.open(home))
    sequencer.start()
    try:
        yield
    finally:
        sequencer.stop()


@contextmanager
def _watched(platform: Scratch, tenant: UUID) -> Iterator[list[tuple[float, int]]]:
    """When the log was seen to have which size, by the database's clock, looked at every few milliseconds."""
    seen: list[tuple[float, int]] = []
    over = Event()

    def look() -> None:
        with psycopg.connect(platform.postgres.admin_address().conninfo, autocommit=True) as connection:
            while not over.wait(0.005):
                row = connection.execute(_SIZE, [tenant]).fetchone()
                if row is not None and (not seen or row[1] > seen[-1][1]):
                    seen.append((row[0], row[1]))

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


_SIZE = """
select extract(epoch from clock_timestamp())::float8, size from ledger_checkpoints
where tenant_id = %s order by size desc limit 1
"""


def _lags(platform: Scratch, tenant: UUID, seen: list[tuple[float, int]]) -> list[float]:
    """For each statement the seconds from its insert to the look that first saw it in the log."""
    with psycopg.connect(platform.postgres.admin_address().conninfo) as connection:
        staged = connection.execute(
            "select extract(epoch from s.staged_at)::float8 from ledger_entries e"
            " join ledger_statements s on s.id = e.statement_id where e.tenant_id = %s order by e.index",
            [tenant],
        ).fetchall()
    lags: list[float] = []
    for (_, before), (at, size) in pairwise(seen):
        lags += [at - moment for (moment,) in staged[before:size]]
    return lags


def _wait_until_empty(platform: Scratch) -> None:
    while platform.db.once("select ledger_waiting() as tenants", []) != {"tenants": []}:
        time.sleep(0.01)


def _seconds_to_place(ledger: Ledger, tenant: UUID) -> float:
    time.sleep(random.random() * 0.3)  # noqa: S311 - at any moment of the sequencer's pauses
    began = time.perf_counter()
    ledger.wait(ledger.append(statement(tenant, 0)))
    return time.perf_counter() - began


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]
