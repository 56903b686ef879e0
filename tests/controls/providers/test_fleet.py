"""Processes of one fleet on a real PostgreSQL: what one learns of a provider all know; alone, each goes on."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest

from prodsprints.controls.providers.fleet import Fleet
from prodsprints.guard import GuardInputError, GuardMisusedError, LeaseSource
from prodsprints.store.address import Address
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres
from support_ports import free_block
from support_waiting import eventually

Join = Callable[[], Fleet]
ByHand = Callable[..., float]


@pytest.fixture
def scope() -> str:
    return f"provider/{uuid4().hex}"


@pytest.fixture
def join(postgres: EmbeddedPostgres) -> Iterator[Join]:
    """One more process of the fleet, as far as the store can tell."""
    joined: list[Fleet] = []

    def make() -> Fleet:
        joined.append(Fleet(postgres.address()))
        return joined[-1]

    yield make
    for fleet in joined:
        fleet.close()


@pytest.fixture
def by_hand(database: Database) -> ByHand:
    """What a person does on the page: a function of the store's, as the workers' role."""

    def run(statement: str, *values: object) -> float:
        row = database.once(f"{statement} as seconds", values)
        assert row is not None
        return float(row["seconds"])

    return run


def spend(bucket: LeaseSource, *, tokens: int) -> None:
    """As callers do: ask, wait for as long as they are told, ask again."""
    for _ in range(tokens):
        deadline = time.monotonic() + 10
        while wait := bucket.take(time.monotonic()):
            assert time.monotonic() < deadline
            time.sleep(wait)


def test_two_processes_share_one_bucket(join: Join, scope: str) -> None:
    first, second = (join().limiter(scope, rate=1, burst=20) for _ in range(2))
    spend(first, tokens=12)
    spend(second, tokens=8)
    wait = eventually(lambda: first.take(time.monotonic()) > 0.2)
    assert wait
    assert second.take(time.monotonic()) > 0


def test_a_token_that_a_process_did_not_spend_is_there_for_the_others(join: Join, scope: str) -> None:
    first, second = (join().limiter(scope, rate=0.01, burst=5) for _ in range(2))
    spend(first, tokens=1)
    spend(second, tokens=4)


def test_a_frozen_scope_is_frozen_for_all_and_thawed_by_hand(join: Join, by_hand: ByHand, scope: str) -> None:
    one, other = join(), join()
    first, second = one.limiter(scope, rate=100, burst=10), other.unmetered(f"{scope}/more")
    third = other.limiter(scope, rate=100, burst=10)
    spend(third, tokens=1)
    first.freeze(time.monotonic() + 60)
    eventually(lambda: third.frozen_until > time.monotonic() + 50)
    assert second.frozen_until == -math.inf
    assert 50 < by_hand("select fleet_thaw(%s, %s)", scope, "ada") <= 60
    eventually(lambda: third.frozen_until == -math.inf and first.frozen_until == -math.inf)
    spend(third, tokens=1)


def test_a_scope_is_frozen_by_hand_before_anybody_used_it_and_who_did_it_is_known(
    join: Join, by_hand: ByHand, scope: str, database: Database
) -> None:
    assert by_hand("select fleet_freeze(%s, %s, %s)", scope, 30, "ada") == pytest.approx(30, abs=1)
    assert by_hand("select fleet_freeze(%s, %s, %s)", scope, 5, "bob") == pytest.approx(30, abs=5)
    bucket = join().limiter(scope, rate=100, burst=10)
    eventually(lambda: bucket.frozen_until > time.monotonic() + 20)
    assert by_hand("select fleet_thaw(%s, %s)", scope, "bob") > 20
    with database.dispatch() as connection:
        acts = connection.execute("select act, actor from fleet_acts where scope = %s order by id", [scope]).fetchall()
    assert [(act["act"], act["actor"]) for act in acts] == [("freeze", "ada"), ("freeze", "bob"), ("thaw", "bob")]


def test_thawing_what_is_not_frozen_changes_nothing(by_hand: ByHand, scope: str) -> None:
    assert by_hand("select fleet_thaw(%s, %s)", scope, "ada") == 0


def test_processes_are_counted_while_they_share_something(join: Join, scope: str) -> None:
    one, other = join(), join()
    one.limiter(scope, rate=1)
    eventually(lambda: one.answers)
    before = one.workers
    other.limiter(scope, rate=1)
    eventually(lambda: one.workers == before + 1)
    other.close()
    eventually(lambda: one.workers == before)


def test_without_a_store_a_process_goes_on_within_the_limit(scope: str) -> None:
    nowhere = Address(f"host=127.0.0.1 port={free_block(1)} user=nobody dbname=nothing connect_timeout=1")
    fleet = Fleet(nowhere)
    try:
        bucket = fleet.limiter(scope, rate=50, burst=50)
        began = time.monotonic()
        spend(bucket, tokens=10)
        assert time.monotonic() - began >= 0.15
        assert not fleet.answers
    finally:
        fleet.close()


def test_a_connection_that_is_cut_is_made_anew_and_the_bucket_begins_empty(
    join: Join, scope: str, postgres: EmbeddedPostgres
) -> None:
    fleet = join()
    bucket = fleet.limiter(scope, rate=2, burst=50)

    def left() -> float:
        with psycopg.connect(postgres.admin_address().conninfo) as connection:
            row = connection.execute("select tokens from fleet_buckets where scope = %s", [scope]).fetchone()
        return float(row[0]) if row else -1.0

    eventually(lambda: left() > 40)
    with psycopg.connect(postgres.admin_address().conninfo, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'prodsprints fleet'"
        )
    eventually(lambda: left() < 10)
    spend(bucket, tokens=1)


@pytest.mark.parametrize("name", ["", "x" * 301, "a\nb", "a\0b"])
def test_a_name_that_no_store_could_keep_is_refused(join: Join, name: str) -> None:
    with pytest.raises(GuardInputError, match="cannot share"):
        join().limiter(name, rate=1)


def test_a_fleet_is_refused_in_a_forked_child(join: Join, scope: str) -> None:
    fleet = join()
    child = os.fork()
    if child == 0:
        try:
            fleet.limiter(scope, rate=1)
        except GuardMisusedError:
            os._exit(7)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_what_a_fleet_handed_out_goes_on_alone_after_it_is_closed(join: Join, scope: str) -> None:
    fleet = join()
    bucket = fleet.limiter(scope, rate=100, burst=10)
    spend(bucket, tokens=1)
    fleet.close()
    spend(bucket, tokens=15)
