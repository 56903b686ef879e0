"""Questions whose answers are known: what buckets and circuits, in the store and in a worker, do at given moments.

Worked out once, with the code that the tests' model was held against. When its arithmetic changes on purpose, print
them anew: `python -m prodsprints.controls.providers.known ADDRESS >known.json`, with the owner's address of a database.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from prodsprints.controls.providers.breaker import SharedBreaker
from prodsprints.controls.providers.leases import LeasedBucket
from prodsprints.controls.providers.link import Link
from prodsprints.guard import Circuit, CircuitOpenError, RateLimitError
from prodsprints.guard.clock import SystemClock
from prodsprints.store.address import Address

_ANSWERS = Path(__file__).with_name("known.json")
_BEGAN = 4_000_000_000.0  # later than any server's start
_RATE, _BURST = 8.0, 10.0
_TRIP_SECONDS = 1 / 256
_STILL = """
create schema still;
create function still.clock_timestamp() returns timestamptz language sql volatile
as $$ select current_setting('still.now')::timestamptz $$;
grant usage on schema still to prodsprints_dispatch;
set search_path = still, pg_catalog, public;
set role prodsprints_dispatch;
"""

# To a bucket: seconds since the question before, what is asked, and whether the caller's connection was cut.
_TO_A_BUCKET: tuple[tuple[float, dict[str, Any], bool], ...] = (
    (0.0, {"want": 4}, False),
    (0.0, {"want": 9.5}, False),
    (0.0, {"want": 1}, False),
    (0.0625, {}, False),
    (0.0625, {"want": 1}, False),
    (0.5, {"back": [[6, 0.5]]}, False),
    (0.0, {"back": [[3, 2.0], [4, 0.125]]}, False),
    (0.0, {"want": 20}, False),
    (0.5, {"back": [[9, -1.0]], "want": 5}, False),
    (60.0, {}, False),
    (0.0, {"want": 2}, False),
    (-30.0, {"want": 1}, False),
    (1.0, {"want": 0}, True),
    (0.25, {"want": 3}, False),
    (1.0, {"freeze": 5.0, "want": 2}, False),
    (1.0, {"freeze": 2.0}, False),
    (1.0, {"freeze": 9.0, "back": [[3, 0.1]]}, False),
    (8.5, {"want": 1}, False),
    (0.5, {"want": 1}, False),
    (0.25, {"want": 1}, False),
    (1.0, {"want": 1, "rate": 4.0, "burst": 2.0}, False),
    (9.0, {"want": 5, "rate": 4.0, "burst": 2.0}, False),
    (2.0, {"freeze": 3.0}, False),
    (4.0, {"want": 1}, True),
    (1.0, {"want": 1}, False),
)

# To a worker: seconds since the question before, what is done, and with what.
_TO_A_WORKER: tuple[tuple[float, str, Any], ...] = (
    (0.0, "remaining", None),
    (0.0, "take", 1),
    (0.0, "due", None),
    (0.001, "visit", {"granted": 1, "left": 9.0}),
    (0.0, "remaining", None),
    (0.0, "take", 3),
    (0.0, "visit", {"granted": 2, "left": 7.0}),
    (0.0, "take", 3),
    (0.0, "visit", {"granted": 4, "left": 3.0}),
    (0.0, "take", 2),
    (0.1, "visit", {"granted": 0, "left": 3.5}),
    (0.1, "take", 1),
    (0.06, "take", 1),
    (0.0, "visit", {"granted": 2, "left": 0.5, "next": 0.0625}),
    (0.3, "visit", {"granted": 0, "left": 2.0}),
    (0.1, "visit", {"granted": 0, "left": 3.0}),
    (0.0, "take", 1),
    (0.0, "visit", {"granted": 0, "left": 0.25, "next": 3.0}),
    (0.0, "due", None),
    (0.0, "take", 1),
    (0.3, "take", 1),
    (0.2, "take", 1),
    (0.0, "visit", {"granted": 0, "left": 0.5, "next": 2.5}),
    (0.5, "visit", {"granted": 0, "left": 4.0}),
    (0.0, "due", None),
    (0.0, "visit", {"granted": 1, "left": 3.0}),
    (0.0, "take", 1),
    (0.0, "take", 8),
    (0.0, "visit", {"granted": 8, "left": 0.0}),
    (0.0, "freeze", 0.4),
    (0.0, "take", 1),
    (0.0, "remaining", None),
    (0.1, "visit", {"granted": 0, "left": 0.0, "frozen": 5.0}),
    (0.1, "freeze", 1.0),
    (0.0, "visit", {"granted": 0, "left": 0.0, "frozen": 4.9}),
    (0.5, "take", 1),
    (0.0, "visit", {"granted": 0, "left": 0.0, "thaws": 1}),
    (0.0, "take", 2),
    (0.0, "visit", {"granted": 2, "left": 1.0, "thaws": 1}),
    (0.05, "frozen on the way", 0.02),
    (0.1, "visit", {"granted": 0, "left": 2.0, "thaws": 1}),
    (0.0, "take", 1),
    (0.0, "visit", {"granted": 2, "left": 0.0, "thaws": 1}),
    (0.2, "silence", None),
    (0.0, "take", 3),
    (0.9, "take", 1),
    (0.2, "take", 1),
    (0.2, "take", 2),
    (0.4, "take", 2),
    (0.0, "remaining", None),
    (0.0, "visit", {"granted": 0, "left": 5.0, "thaws": 1}),
    (0.0, "take", 1),
    (0.0, "remaining", None),
)


# To a circuit of the fleet: seconds since the question before, who asks, and what; the version is said where it counts.
_TO_A_CIRCUIT: tuple[tuple[float, str, dict[str, Any]], ...] = (
    (0.0, "one", {"version": 0}),
    (0.0, "one", {"version": 0, "say": "closed"}),
    (0.0, "one", {"version": 0, "probe": True}),
    (0.0, "one", {"version": 0, "say": "opened"}),
    (1.0, "two", {"version": 0, "say": "opened"}),
    (1.0, "two", {"version": 1, "probe": True}),
    (8.0, "two", {"version": 0, "probe": True}),
    (0.0, "two", {"version": 1, "probe": True}),
    (0.0, "one", {"version": 1, "probe": True}),
    (0.5, "one", {"version": 1, "say": "released"}),
    (0.0, "one", {"version": 1, "probe": True}),
    (0.0, "two", {"version": 1, "say": "released"}),
    (0.0, "one", {"version": 1, "probe": True}),
    (10.5, "two", {"version": 1, "probe": True}),
    (0.5, "two", {"version": 1, "probe": True}),
    (0.0, "two", {"version": 1, "say": "opened"}),
    (0.0, "one", {"version": 1, "say": "closed"}),
    (10.0, "one", {"version": 2, "probe": True}),
    (0.0, "one", {"version": 2, "say": "closed"}),
    (0.0, "two", {"version": 3, "probe": True}),
    (0.0, "two", {"version": 2}),
    (0.0, "two", {"version": 3, "say": "opened"}),
)

# To a worker's circuit: seconds since the question before, what is done, and with what.
_TO_A_BREAKER: tuple[tuple[float, str, Any], ...] = (
    (0.0, "call", "works"),
    (0.0, "visit", {"version": 3}),
    (0.0, "call", "fails"),
    (0.0, "call", "works"),
    (0.0, "call", "fails"),
    (0.0, "call", "throttles"),
    (0.0, "visit", {"version": 3}),
    (0.0, "call", "fails"),
    (0.0, "visit", {"version": 4, "open": True, "probe_in": 8.0}),
    (0.0, "probe_in", None),
    (7.0, "call", "works"),
    (1.0, "probe_in", None),
    (0.0, "call", "works"),
    (0.0, "visit", {"version": 4, "open": True, "probing": True}),
    (0.0, "probe_in", None),
    (0.0, "visit", {"version": 4, "open": True, "permit": True, "probing": True}),
    (0.0, "probe_in", None),
    (0.5, "call", "throttles"),
    (0.0, "visit", {"version": 4, "open": True}),
    (0.0, "probe_in", None),
    (0.0, "visit", {"version": 4, "open": True, "permit": True, "probing": True}),
    (1.0, "call", "works"),
    (0.125, "visit", {"version": 4, "open": True}),
    (0.25, "visit", {"version": 4, "open": True}),
    (0.0, "probe_in", None),
    (0.0, "visit", {"version": 4, "open": True, "permit": True, "probing": True}),
    (0.0, "call", "fails"),
    (0.0, "visit", {"version": 5, "open": True, "probe_in": 6.0}),
    (5.0, "visit", {"version": 6, "open": True, "probe_in": 2.0}),
    (1.5, "call", "works"),
    (0.5, "probe_in", None),
    (0.0, "visit", {"version": 6, "open": True, "permit": True, "probing": True}),
    (0.0, "call", "works"),
    (0.0, "call", "works"),
    (0.0, "visit", {"version": 7}),
    (0.0, "call", "works"),
    (0.0, "visit", {"version": 8, "open": True, "probe_in": 3.0}),
    (0.0, "call", "works"),
    (0.0, "visit", {"version": 9}),
    (0.0, "call", "works"),
    (0.0, "call", "fails"),
    (0.0, "call", "fails"),
    (0.0, "visit", {"version": 11}),
    (0.0, "call", "works"),
    (0.0, "silence", None),
    (2.0, "call", "fails"),
    (0.0, "call", "fails"),
    (10.0, "call", "works"),
    (0.0, "probe_in", None),
    (2.0, "call", "works"),
    (0.0, "visit", {"version": 11}),
    (0.0, "call", "works"),
)


def wrong_about_buckets(store: Address) -> str:
    """The first question that `fleet_bucket` of this database answers otherwise, in words; empty if there is none."""
    return _first_difference("bucket", list(_of_a_bucket(store)))


def wrong_about_workers() -> str:
    """The first question that a worker answers otherwise, in words; empty if there is none."""
    return _first_difference("worker", list(_of_a_worker()))


def wrong_about_circuits(store: Address) -> str:
    """The first question that `fleet_breaker` of this database answers otherwise, in words; empty if there is none."""
    return _first_difference("circuit", list(_of_a_circuit(store)))


def wrong_about_breakers() -> str:
    """The first question that a worker's circuit answers otherwise, in words; empty if there is none."""
    return _first_difference("breaker", list(_of_a_breaker()))


def _first_difference(who: str, found: list[list[float]]) -> str:
    known = json.loads(_ANSWERS.read_text(encoding="utf-8"))[who]
    for number, (ours, theirs) in enumerate(zip(found, known, strict=True), start=1):
        if len(ours) != len(theirs) or any(abs(one - other) > 1e-3 for one, other in zip(ours, theirs, strict=True)):
            return f"Question {number} to a {who}: {ours}, not {theirs}."
    return ""


def _of_a_bucket(store: Address) -> Iterator[list[float]]:
    now, scope = _BEGAN, f"known/{uuid4().hex}"
    with _stopped(store) as owner:
        for seconds, asked, recovering in _TO_A_BUCKET:
            now += seconds
            ask: dict[str, Any] = {"scope": scope, "rate": _RATE, "burst": _BURST} | asked
            if "back" in ask:
                ask["back"] = [[tokens, now - age] for tokens, age in ask["back"]]
            owner.execute("select set_config('still.now', to_timestamp(%s)::text, false)", [now])
            row = owner.execute("select fleet_bucket(%s, %s)", [json.dumps(ask), recovering]).fetchone()
            answer = row[0] if row else {}
            yield [answer[name] for name in ("granted", "left", "next", "frozen", "thaws")] + [answer["of"] - now]


def _of_a_circuit(store: Address) -> Iterator[list[float]]:
    now, name = _BEGAN, f"known/{uuid4().hex}"
    with _stopped(store) as owner:
        for seconds, worker, asked in _TO_A_CIRCUIT:
            now += seconds
            ask = {"name": name, "recovery": 10.0} | asked
            owner.execute("select set_config('still.now', to_timestamp(%s)::text, false)", [now])
            row = owner.execute("select fleet_breaker(%s, %s)", [worker, json.dumps(ask)]).fetchone()
            answer = row[0] if row else {}
            yield [float(answer[name]) for name in ("version", "open", "permit", "probing", "probe_in")]
        trips = owner.execute("select trips from fleet_breakers where name = %s", [name]).fetchone()
        yield [trips[0] if trips else -1.0]


@contextmanager
def _stopped(store: Address) -> Iterator[psycopg.Connection[Any]]:
    """A session of the store's owner, acting as workers do, in which time is what `still.now` says."""
    with psycopg.connect(store.conninfo, autocommit=True) as owner:
        owner.execute(_STILL)
        yield owner
        owner.execute("reset role; reset search_path; drop schema still cascade")


def _of_a_worker() -> Iterator[list[float]]:
    """Each answer as numbers: the waits of each take, or what was asked of the store."""
    clock = _Still()
    link = Link(clock)
    link.answered(clock.now(), sent=clock.now(), workers=4)
    bucket = LeasedBucket(link, "known", rate=_RATE, burst=_BURST, random=lambda: 0.5)
    for seconds, act, value in _TO_A_WORKER:
        clock.seconds += seconds
        now = clock.now()
        if act == "take":
            yield [bucket.take(now) for _ in range(value)]
        elif act == "visit":
            yield _visit(bucket, link, value, now)
        elif act == "frozen on the way":
            asked = bucket.ask(now)
            bucket.freeze(now + value)
            bucket.answer(_whole({"granted": asked.get("want", 2), "thaws": 1}, now), sent=now, now=now + value / 2)
            yield [bucket.take(now), bucket.take(now + 2 * value)]
        elif act == "freeze":
            bucket.freeze(now + value)
            yield [bucket.frozen_until - now]
        elif act == "silence":
            link.sending(now)
            yield []
        else:
            found = bucket.remaining(now) if act == "remaining" else bucket.due() - now
            yield [found if isfinite(found) else -1.0 if found > 0 else -2.0]


def _visit(bucket: LeasedBucket, link: Link, answer: dict[str, Any], now: float) -> list[float]:
    sent = now - _TRIP_SECONDS
    asked = bucket.ask(sent)
    link.answered(now, sent=sent, workers=4)
    bucket.answer(_whole(answer, now), sent=sent, now=now)
    back = [number for tokens, of in asked.get("back", []) for number in (tokens, now - of)]
    return [asked["rate"], asked["burst"], asked.get("want", 0), asked.get("freeze", 0), *back]


def _whole(answer: dict[str, Any], now: float) -> dict[str, Any]:
    return {"granted": 0, "left": 0.0, "next": 0.0, "frozen": 0, "thaws": 0, "of": now} | answer


def _of_a_breaker() -> Iterator[list[float]]:
    """Each answer as numbers: how a call ended and for how long it was sent away, or what the store was told."""
    clock = _Still()
    link = Link(clock)
    link.answered(clock.now(), sent=clock.now(), workers=4)
    breaker = SharedBreaker(link, "known", failure_threshold=2, recovery_timeout=8.0, random=lambda: 0.5)
    for seconds, act, value in _TO_A_BREAKER:
        clock.seconds += seconds
        now = clock.now()
        if act == "call":
            yield [*_called(breaker, value, now), _CIRCUITS.index(breaker.circuit), breaker.failures_in_a_row]
        elif act == "visit":
            link.answered(now, sent=now - _TRIP_SECONDS, workers=4)
            asked = breaker.ask(now)
            answer = {"open": False, "permit": False, "probing": False, "probe_in": 0.0} | value
            breaker.answer(answer, sent=now - _TRIP_SECONDS, now=now)
            said = _NEWS.index(asked.get("say", ""))
            yield [asked["version"], asked["recovery"], said, asked.get("probe", 0), _CIRCUITS.index(breaker.circuit)]
        elif act == "silence":
            link.sending(now)
            yield []
        else:
            yield [breaker.probe_in(now)]
    yield [breaker.trips]


def _called(breaker: SharedBreaker, how: str, now: float) -> list[float]:
    try:
        era = breaker.admit(now)
    except CircuitOpenError as error:
        return [0.0, error.retry_after or 0.0]
    if how == "works":
        breaker.succeeded(era)
    elif how == "fails":
        breaker.failed(era, now)
    else:
        breaker.ended(era, RateLimitError(1), now)
    return [1.0]


_CIRCUITS = (Circuit.CLOSED, Circuit.HALF_OPEN, Circuit.OPEN)
_NEWS = ("", "opened", "closed", "released")


class _Still(SystemClock):
    """Time that passes when a question says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds


if __name__ == "__main__":
    address = Address(sys.argv[1])
    worked_out = {
        "bucket": list(_of_a_bucket(address)),
        "worker": list(_of_a_worker()),
        "circuit": list(_of_a_circuit(address)),
        "breaker": list(_of_a_breaker()),
    }
    lines = (f'"{who}": [\n' + ",\n".join(map(json.dumps, answers)) + "\n]" for who, answers in worked_out.items())
    sys.stdout.write("{" + ",\n".join(lines) + "}\n")
