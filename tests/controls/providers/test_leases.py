"""What a fleet spends of one bucket: never more than its bound, whatever its workers try, and hardly less."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from math import inf, nan
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controls.providers.support_bucket import Bucket, Hoarder, bound, most_in_a_second
from guard.support_clock import ManualClock
from prodsprints.controls.providers.leases import TTL_SECONDS, Frozen, LeasedBucket
from prodsprints.controls.providers.link import Link
from prodsprints.guard import Guard, GuardInputError, GuardMisusedError, Key, KeyPool, RateLimitError, Retry
from prodsprints.guard.ownership import THREADS
from prodsprints.store.embedded import EmbeddedPostgres

STEPS = st.integers(0, 300).map(lambda step: step / 1024)
DELAYS = st.integers(0, 40).map(lambda step: step / 1024)
RATES = st.sampled_from([0.5, 8.0, 64.0, 1024.0])
BURSTS = st.integers(1, 200)
TICK = 0.1


class Member:
    """One worker with the real lease code, and a store that is the model of the SQL."""

    def __init__(self, bucket: Bucket, clock: ManualClock, *, workers: int = 1) -> None:
        self.bucket, self.clock = bucket, clock
        self.link = Link(clock)
        self.link.answered(clock.now(), sent=clock.now(), workers=workers)
        self.workers = workers
        self.part = LeasedBucket(self.link, "x", rate=bucket.rate, burst=bucket.burst)

    def tick(self, delay: float = 0.0) -> None:
        sent = self.clock.now()
        self.link.sending(sent)
        ask = self.part.ask(sent)
        self.clock.seconds += delay
        answer = self.bucket.ask(ask, self.clock.now())
        now = self.clock.now()
        self.link.answered(now, sent=sent, workers=self.workers)
        self.part.answer(answer, sent=sent, now=now)

    def spend(self, most: float = inf) -> int:
        spent = 0
        while spent < most and not self.part.take(self.clock.now()):
            spent += 1
        return spent


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def bucket(clock: ManualClock) -> Bucket:
    return Bucket(rate=100.0, burst=10.0, at=clock.now())


@pytest.fixture
def member(bucket: Bucket, clock: ManualClock) -> Member:
    return Member(bucket, clock)


HOARDINGS = st.lists(
    st.tuples(
        STEPS, DELAYS, st.integers(0, 49), st.sampled_from(["ask", "spend", "some", "back"]), st.integers(1, 300)
    ),
    max_size=150,
)


@settings(max_examples=300)
@given(HOARDINGS, RATES, BURSTS)
def test_fifty_workers_that_hoard_and_dump_never_exceed_the_bound(
    steps: list[tuple[float, float, int, str, int]], rate: float, burst: int
) -> None:
    now, spent = 1000.0, []
    bucket, workers = Bucket(rate, burst, now), [Hoarder() for _ in range(50)]
    for pause, delay, number, act, amount in steps:
        now += pause
        worker = workers[number]
        if act == "ask":
            sent, now = now, now + delay
            worker.ask(bucket, amount, sent=sent, arrives=now)
        elif act == "back":
            worker.give_back(bucket, now)
        else:
            spent.append((now, worker.spend(now, inf if act == "spend" else amount)))
    assert most_in_a_second(spent) <= bound(rate, burst, 50, inf) + 1e-6


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            STEPS, DELAYS, st.integers(0, 49), st.sampled_from(["tick", "tick", "spend", "some"]), st.integers(1, 99)
        ),
        max_size=150,
    ),
    RATES,
    BURSTS,
)
def test_the_lease_code_itself_never_exceeds_it_either(
    steps: list[tuple[float, float, int, str, int]], rate: float, burst: int
) -> None:
    clock, spent = ManualClock(), []
    bucket = Bucket(rate, burst, clock.now())
    members = [Member(bucket, clock, workers=50) for _ in range(50)]
    for pause, delay, number, act, amount in steps:
        clock.seconds += pause
        for each in members:  # the store is up for all: only whoever is asked to ticks, but none believes it down
            each.link.answered(clock.now(), sent=clock.now(), workers=50)
        if act == "tick":
            members[number].tick(delay)
        else:
            spent.append((clock.now(), members[number].spend(inf if act == "spend" else amount)))
    assert most_in_a_second(spent) <= bound(rate, burst, 50, members[0].part.batch) + 1e-6


def test_the_adversary_comes_near_the_bound_so_that_the_bound_means_something() -> None:
    rate, burst, now, spent = 1000.0, 100.0, 1000.0, []
    bucket, workers = Bucket(rate, burst, now), [Hoarder() for _ in range(50)]
    for step in range(250):  # hoard: all tokens of the last TTL_SECONDS are held, and the bucket is full again after
        workers[step % 50].ask(bucket, 400, sent=now, arrives=now)
        now += 0.001 * 0.99
    for _ in range(1000):
        for worker in workers:
            spent.append((now, worker.spend(now)))
        workers[0].ask(bucket, 400, sent=now, arrives=now)
        now += 0.001
    most, limit = most_in_a_second(spent), bound(rate, burst, 50, 400)
    assert limit * 0.97 < most <= limit


def test_a_token_that_was_given_back_is_worth_less_the_longer_it_was_away(bucket: Bucket) -> None:
    of = bucket.at
    assert bucket.ask({"want": 10}, of)["granted"] == 10
    assert bucket.ask({"back": [[10, of]]}, of + 0.05)["left"] == pytest.approx(10.0)  # 5 refilled, 5 of 10 back
    assert bucket.ask({"want": 10}, of + 0.05)["granted"] == 10
    assert bucket.ask({"back": [[10, of]]}, of + 0.15)["left"] == pytest.approx(10.0)  # nothing back: it refilled
    assert bucket.ask({"want": 9}, of + 0.15)["granted"] == 9


def test_greedy_workers_use_a_limit_up_and_not_more(clock: ManualClock) -> None:
    bucket = Bucket(rate=1000.0, burst=100.0, at=clock.now())
    members = [Member(bucket, clock, workers=4) for _ in range(4)]
    began, spent, next_tick = clock.now(), [], [clock.now() + number * 0.02 for number in range(4)]
    while clock.now() < began + 5:
        for number, each in enumerate(members):
            spent.append((clock.now(), each.spend()))
            if clock.now() >= min(next_tick[number], each.part.due()):
                each.tick()
                next_tick[number] = clock.now() + TICK
        clock.seconds += 0.002
    total = sum(tokens for _, tokens in spent)
    assert 0.98 * 5000 <= total <= 5000 + 100
    assert most_in_a_second(spent) <= bound(1000, 100, 4, 250)


def test_few_writes_are_needed_for_many_tokens(clock: ManualClock) -> None:
    bucket = Bucket(rate=1e6, burst=1e5, at=clock.now())
    member, ticks, spent = Member(bucket, clock), 0, 0
    for step in range(1000):  # 100 tokens a millisecond, a visit to the store each 100 ms or when there are none
        took = member.spend(100)
        spent += took
        if took < 100 or step % 100 == 0:
            member.tick()
            ticks += 1
        clock.seconds += 0.001
    assert spent > 95_000
    assert ticks * 100 < spent


def test_nobody_hoards_what_it_does_not_spend(bucket: Bucket, clock: ManualClock, member: Member) -> None:
    for _ in range(3):
        assert member.spend(1) == 0
        member.tick()
        assert member.spend(1) == 1
        clock.seconds += 1.0
        member.tick()
    for _ in range(5):
        clock.seconds += TICK
        member.tick()
    assert bucket.ask({}, clock.now())["left"] == 10


def test_an_expired_token_is_not_spent(clock: ManualClock, member: Member) -> None:
    assert member.spend(1) == 0
    member.tick(delay=0.1)
    clock.seconds += TTL_SECONDS - 0.1
    assert member.part.take(clock.now()) > 0


def test_a_caller_that_finds_nothing_is_told_when_to_come_back(clock: ManualClock, member: Member) -> None:
    member.bucket.tokens = 0.0
    assert 0 < member.part.take(clock.now()) < 0.05
    member.tick()
    wait = member.part.take(clock.now())
    assert 0.01 <= wait < 0.1
    clock.seconds += wait
    member.tick()
    assert member.part.take(clock.now()) == 0


def test_while_the_store_is_down_the_lease_is_spent_and_then_the_share(clock: ManualClock) -> None:
    bucket = Bucket(rate=100.0, burst=10.0, at=clock.now())
    member = Member(bucket, clock, workers=4)
    member.spend(1)
    member.part._missed = 10
    member.tick()
    member.link.sending(clock.now())  # and it is never answered
    clock.seconds += 0.1
    assert member.spend() == 10
    spent, began = 0, clock.now()
    for _ in range(10_000):
        wait = member.part.take(clock.now())
        spent += not wait
        clock.seconds += wait or 0.0
    seconds = clock.now() - began
    assert 0.9 * 25 <= spent / seconds <= 25
    assert seconds > 100


def test_when_the_store_is_back_the_share_is_over(clock: ManualClock, member: Member) -> None:
    member.link.sending(clock.now())
    clock.seconds += 2
    member.spend()
    assert member.part._alone is not None
    member.tick()
    member.part.take(clock.now())
    assert member.part._alone is None
    member.tick()
    assert member.part.take(clock.now()) == 0


def test_a_fleet_that_lost_its_store_does_not_call_together(clock: ManualClock) -> None:
    bucket = Bucket(rate=1.0, burst=1.0, at=clock.now())
    members = [Member(bucket, clock, workers=50) for _ in range(50)]
    for each in members:
        each.link.sending(clock.now())
    clock.seconds += 1
    first = [each.part.take(clock.now()) for each in members]
    assert max(first) - min(first) > 10


def test_a_freeze_is_published_and_never_shortened(bucket: Bucket, clock: ManualClock, member: Member) -> None:
    other = Member(bucket, clock)
    member.part.freeze(clock.now() + 30)
    member.tick()
    other.part.freeze(clock.now() + 5)
    other.tick()
    assert other.part.frozen_until == pytest.approx(clock.now() + 30)
    other.tick()
    clock.seconds += 29
    assert member.part.take(clock.now()) == pytest.approx(1.0)
    assert other.part.take(clock.now()) == pytest.approx(1.0)
    assert bucket.ask({"want": 5}, clock.now())["granted"] == 0


def test_a_freeze_takes_what_is_held_and_ends_with_an_empty_bucket(clock: ManualClock, member: Member) -> None:
    member.spend(1)
    member.part._missed = 5
    member.tick()
    member.part.freeze(clock.now() + 0.05)
    member.tick()
    clock.seconds += 0.05
    member.tick()
    assert member.part.take(clock.now()) > 0
    assert member.bucket.tokens == 0


def test_a_lease_that_was_asked_for_before_a_freeze_is_not_spent_after_it(clock: ManualClock, member: Member) -> None:
    member.spend(1)
    sent = clock.now()
    answer = member.bucket.ask(member.part.ask(sent), clock.now())
    member.part.freeze(clock.now() + 0.01)
    member.part.answer(answer, sent=sent, now=clock.now())
    clock.seconds += 0.02
    assert member.part.take(clock.now()) > 0


def test_a_freeze_that_the_store_has_not_heard_of_is_told_when_it_is_back(clock: ManualClock, member: Member) -> None:
    member.link.sending(clock.now())
    member.part.freeze(clock.now() + 60)
    clock.seconds += 10
    member.tick()
    assert member.bucket.frozen_until == pytest.approx(clock.now() + 50)


def test_only_a_thaw_by_hand_ends_a_freeze_early(bucket: Bucket, clock: ManualClock, member: Member) -> None:
    member.part.freeze(clock.now() + 300)
    member.tick()
    clock.seconds += 1
    bucket.thaw(clock.now())
    member.tick()
    assert member.part.frozen_until == -inf
    clock.seconds += 1
    member.spend(1)
    member.tick()
    assert member.part.take(clock.now()) == 0


def test_a_scope_without_a_known_limit_is_frozen_too(clock: ManualClock) -> None:
    frozen = Frozen(Link(clock), "x")
    assert frozen.take(clock.now()) == 0 and frozen.remaining(clock.now()) == inf
    frozen.freeze(clock.now() + 2)
    assert frozen.ask(clock.now())["freeze"] == 2
    assert frozen.take(clock.now() + 1) == 1 and frozen.remaining(clock.now()) == 0


def test_what_remains_is_what_the_fleet_has_left(bucket: Bucket, clock: ManualClock, member: Member) -> None:
    assert member.part.remaining(clock.now()) == 10
    bucket.tokens = 0.0
    member.tick()
    assert member.part.remaining(clock.now()) < 1
    assert member.part.remaining(clock.now() + 0.05) == pytest.approx(5)
    member.part.freeze(clock.now() + 1)
    assert member.part.remaining(clock.now()) == 0


def test_a_provider_that_lies_about_its_limit_paces_us_and_is_no_outage(clock: ManualClock) -> None:
    """It throttles above 20 calls a second although we were told 1,000: all calls are answered, at its pace."""
    member = Member(Bucket(rate=1000.0, burst=100.0, at=clock.now()), clock)
    real = Bucket(rate=20.0, burst=5.0, at=clock.now())

    class Ticking(ManualClock):
        def sleep(self, seconds: float) -> None:
            for _ in range(max(1, int(seconds / TICK))):
                clock.seconds += seconds / max(1, int(seconds / TICK))
                member.tick()

        def now(self) -> float:
            return clock.now()

    def provider() -> str:
        if not real.ask({"want": 1}, clock.now())["granted"]:
            raise RateLimitError(0.2)
        return "answer"

    pool = KeyPool([Key("")], quota=lambda _: member.part)
    call = Guard("liar", keys=pool, clock=Ticking(), deadline_seconds=60, retry=Retry(wait=lambda _: 0.1))(provider)
    began = clock.now()
    assert [call() for _ in range(60)] == ["answer"] * 60
    assert clock.now() - began < 60


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate": 0}, "rate must be"),
        ({"rate": -1}, "rate must be"),
        ({"rate": nan}, "rate must be"),
        ({"rate": inf}, "rate must be"),
        ({"rate": 1, "burst": 0.5}, "burst must be"),
        ({"rate": 1, "burst": nan}, "burst must be"),
    ],
)
def test_a_limit_that_is_none_is_refused(clock: ManualClock, options: dict[str, float], said: str) -> None:
    with pytest.raises(GuardInputError, match=said):
        LeasedBucket(Link(clock), "x", **options)


def test_a_second_event_loop_and_threads_are_refused(member: Member) -> None:
    async def use() -> None:
        member.part.claim(asyncio.get_running_loop())

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(use())
        with pytest.raises(GuardMisusedError, match="another event loop"):
            second.run(use())
        with pytest.raises(GuardMisusedError, match="by an event loop and by threads"):
            member.part.claim(THREADS)


def test_a_forked_child_is_refused_even_if_the_parent_never_used_the_bucket(member: Member) -> None:
    child = os.fork()
    if child == 0:
        try:
            member.part.claim(THREADS)
        except GuardMisusedError as error:
            os._exit(7 if "in the child" in error.next_step else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# The model against PostgreSQL, whose clock the test moves by a function of its own.

ACTS = st.lists(
    st.one_of(
        st.builds(lambda dt, want: ("want", dt, want), st.integers(-50, 2000), st.integers(0, 50)),
        st.builds(lambda dt, *given: ("back", dt, given), st.integers(0, 500), st.integers(1, 50), st.integers(0, 900)),
        st.builds(lambda dt, seconds: ("freeze", dt, seconds), st.integers(0, 500), st.integers(1, 4000)),
        st.builds(lambda dt: ("thaw", dt, 0), st.integers(0, 500)),
        st.builds(lambda dt: ("recovering", dt, 0), st.integers(0, 500)),
    ),
    max_size=25,
)  # fmt: skip


@pytest.fixture(scope="module")
def store(postgres: EmbeddedPostgres) -> Iterator[Callable[..., Any]]:
    with (
        psycopg.connect(postgres.admin_address().conninfo, autocommit=True) as admin,
        psycopg.connect(postgres.address().conninfo, autocommit=True) as connection,
    ):
        admin.execute(
            """
            create schema still;
            grant usage on schema still to public;
            create function still.clock_timestamp() returns timestamptz language sql volatile
            as $$ select current_setting('still.now')::timestamptz $$
            """
        )
        connection.execute("set search_path = still, pg_catalog, public; set role prodsprints_dispatch")

        def ask(statement: str, *values: object, now: float) -> Any:
            connection.execute("select set_config('still.now', to_timestamp(%s)::text, false)", [now])
            row = connection.execute(statement.encode(), values).fetchone()
            return row[0] if row else None

        yield ask
        admin.execute("drop schema still cascade")


@settings(max_examples=60)
@given(ACTS, st.sampled_from([0.5, 8.0, 512.0]), st.integers(1, 60))
@example([("freeze", 0, 1000), ("want", 500, 5), ("thaw", 0, 0), ("want", 1000, 5)], 8.0, 10)
def test_the_model_is_what_postgresql_computes(
    store: Callable[..., Any], acts: list[tuple[str, int, Any]], rate: float, burst: int
) -> None:
    scope, now = f"s-{os.urandom(6).hex()}", 4_000_000_000.0  # later than any server's start
    model = Bucket(rate, burst, now)
    for act, milliseconds, value in [("want", 0, 0), *acts]:
        now += milliseconds / 1024
        if act == "thaw":
            store("select fleet_thaw(%s, 'test')", scope, now=now)
            if model.frozen_until > now:
                model.thaw(now)
            continue
        ask: dict[str, Any] = {"scope": scope, "rate": rate, "burst": burst}
        if act == "want":
            ask["want"] = value
        elif act == "back":
            ask["back"] = [[value[0], now - value[1] / 1024]]
        elif act == "freeze":
            ask["freeze"] = value / 1024
        recovering = act == "recovering"
        found = store("select fleet_bucket(%s, %s)", psycopg.types.json.Jsonb(ask), recovering, now=now)
        expected = model.ask(ask, now, recovering=recovering)
        assert found == {name: pytest.approx(value, abs=1e-3) for name, value in expected.items()}


def test_a_bucket_that_is_older_than_the_server_recovers_empty(store: Callable[..., Any]) -> None:
    scope = f"s-{os.urandom(6).hex()}"
    ask = psycopg.types.json.Jsonb({"scope": scope, "rate": 1, "burst": 100, "want": 1})
    store("select fleet_bucket(%s, false)", ask, now=1_000_000_000.0)
    present = store("select extract(epoch from pg_postmaster_start_time() + interval '1 s')::float8", now=0)
    assert store("select fleet_bucket(%s, false)", ask, now=present)["granted"] == 0
    assert store("select fleet_bucket(%s, false)", ask, now=present + 2)["granted"] == 1
