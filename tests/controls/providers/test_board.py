"""The board in a real database: who posts, who reads, what is swept, and a process that tells of its own guards."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import psycopg
import pytest

from controls.providers.support_sightings import World, shared
from prodsprints.controls.providers.dependencies import board, by_hand, common, telling
from prodsprints.controls.providers.dependencies.board import Posted
from prodsprints.controls.providers.dependencies.by_hand import LONGEST_SECONDS
from prodsprints.controls.providers.dependencies.dependency import Dependency, buckets, dependencies
from prodsprints.controls.providers.dependencies.recorder import Recorder
from prodsprints.controls.providers.dependencies.telling import Teller
from prodsprints.controls.providers.errors import FreezeInputError, NotSharedError, UnknownDependencyError
from prodsprints.controls.providers.fleet import Fleet
from prodsprints.controls.providers.guards import Guards, Policy
from prodsprints.guard import Circuit, Guard, Outcome, Profile, registry
from prodsprints.store.database import Database
from support_waiting import eventually


@pytest.fixture
def name() -> str:
    return f"p-{uuid4().hex[:10]}"


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests' guards use up no names here."""
    monkeypatch.setattr(registry, "_names", set())


@pytest.fixture
def worker(database: Database) -> Iterator[str]:
    id = f"w-{uuid4().hex[:10]}"
    yield id
    board.take_down(database, id)


def of(database: Database, worker: str) -> list[Posted]:
    return [posted for posted in board.read(database) if posted.worker == worker]


def aged(database: Database, worker: str, seconds: float) -> None:
    with database.dispatch() as connection:
        connection.execute(
            "update guard_sightings set at = at - make_interval(secs => %s) where worker = %s", [seconds, worker]
        )


def test_what_was_posted_last_is_read_with_its_age(database: Database, worker: str, name: str) -> None:
    world = World(name)
    board.post(database, worker, [world.look()])
    world.call(["answer"] * 3)
    board.post(database, worker, [world.look()])
    (posted,) = of(database, worker)
    assert posted.sighting.snapshot.name == name
    assert posted.sighting.snapshot.count(Outcome.SUCCEEDED) == 3
    assert posted.is_fresh
    aged(database, worker, 40)
    (posted,) = of(database, worker)
    assert 40 <= posted.age_seconds < 60
    assert not posted.is_fresh


def test_what_nobody_renews_is_not_read_after_ten_minutes_and_swept(database: Database, worker: str, name: str) -> None:
    board.post(database, worker, [World(name).look()])
    aged(database, worker, board.KEPT_SECONDS + 1)
    assert of(database, worker) == []
    board.sweep(database)
    with database.dispatch() as connection:
        rows = connection.execute("select from guard_sightings where worker = %s", [worker])
        assert rows.rowcount == 0


def test_a_row_of_another_version_hides_no_other(database: Database, worker: str, name: str) -> None:
    board.post(database, worker, [World(name).look(), World(f"{name}-2").look()])
    with database.dispatch() as connection:
        connection.execute(
            """update guard_sightings set sighting = '{"schema": 99}' where worker = %s and name = %s""", [worker, name]
        )
    assert [posted.sighting.snapshot.name for posted in of(database, worker)] == [f"{name}-2"]


def test_no_tenant_reads_or_writes_the_board(database: Database, tenant: UUID) -> None:
    for statement in ("select * from guard_sightings", "delete from guard_sightings"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.tenant(tenant) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_TELL_SECONDS", 0.05)


def test_a_process_tells_of_its_guards_until_it_ends(database: Database, worker: str, name: str, prompt: None) -> None:
    guard = Guard(name)
    teller = Teller(database, worker)
    teller.start()
    guard(lambda: None)()

    def heard() -> bool:
        return any(
            posted.sighting.snapshot.name == name and posted.sighting.snapshot.count(Outcome.SUCCEEDED) == 1
            for posted in of(database, worker)
        )

    try:
        eventually(heard)
    finally:
        teller.stop()
    assert of(database, worker) == []


def test_a_process_whose_database_is_away_says_so_once_and_ends_as_told(
    database: Database, name: str, prompt: None, caplog: pytest.LogCaptureFixture
) -> None:
    guard = Guard(name)
    address = replace(database.address, conninfo=database.address.conninfo + " port=1")
    away = Database(address, patience_seconds=0)
    teller = Teller(away, "nobody")
    with caplog.at_level(logging.INFO):
        teller.start()
        eventually(lambda: "not posted meanwhile" in caplog.text)
        teller.stop()
    away.close()
    assert caplog.text.count("not posted meanwhile") == 1
    assert guard.name == name


def test_a_collector_that_cannot_be_spoken_to_keeps_no_process_from_starting(
    database: Database, worker: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    teller = Teller(database, worker)
    teller.start()
    teller.stop()
    assert "which is not spoken here" in caplog.text


def seen(name: str) -> Dependency:
    (one,) = dependencies([Posted("w", shared(World(name).look()), 0.0)])
    return one


def cold(database: Database, places: Sequence[str]) -> Mapping[str, float]:
    return common.read(database, [], places).frozen_seconds


def test_a_provider_is_frozen_and_thawed_for_the_whole_fleet(database: Database, name: str) -> None:
    both = by_hand.scopes(seen(name), None)
    places = [scope.shared for scope in both]
    assert places == [f"{name}/main", f"{name}/other"]
    assert cold(database, places) == {}
    assert 590 < by_hand.freeze(database, both, seconds=600, actor="ada") <= 600
    assert 590 < by_hand.freeze(database, both[:1], seconds=5, actor="ada") <= 600  # the longer one stays
    assert all(590 < seconds <= 600 for seconds in cold(database, places).values())
    (main,) = by_hand.scopes(seen(name), "main")
    assert 590 < by_hand.thaw(database, [main], actor="bob") <= 600
    assert list(cold(database, places)) == [f"{name}/other"]
    assert [(act.actor, act.act) for act in by_hand.acts(database, [f"{name}/main"])] == [
        ("bob", "thaw"),
        ("ada", "freeze"),
        ("ada", "freeze"),
    ]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), float("-inf")])
def test_no_time_at_all_is_refused(seconds: float) -> None:
    with pytest.raises(FreezeInputError, match="above 0"):
        by_hand.checked(seconds)


def test_a_year_is_refused_with_what_is_possible() -> None:
    with pytest.raises(FreezeInputError, match=r"31,536,000 seconds are more than the day.*86,400"):
        by_hand.checked(365 * 86_400)
    assert by_hand.checked(LONGEST_SECONDS) == LONGEST_SECONDS


def test_a_key_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(UnknownDependencyError, match=r"no key 'mian'.*main, spare.*did you mean `main`"):
        by_hand.scopes(seen(name), "mian")


def test_what_no_fleet_shares_cannot_be_frozen_for_all(name: str) -> None:
    (own,) = dependencies([Posted("w", World(name).look(), 0.0)])
    with pytest.raises(NotSharedError, match="single processes"):
        by_hand.scopes(own, None)


def test_what_a_fleet_shares_is_what_the_page_says(database: Database, name: str) -> None:
    fleet = Fleet(database.address)
    guard = Guards(fleet).guard(Profile(name), policy=Policy(failure_threshold=2, recovery_timeout=60))
    try:

        @guard
        def call() -> None:
            raise ConnectionResetError

        def opened() -> bool:
            return common.read(database, [name], [name]).circuits.get(name) is Circuit.OPEN

        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                call()
        eventually(opened)
        (seen,) = Recorder().look([guard.snapshot()], 0.0)
        calm = replace(seen, snapshot=replace(seen.snapshot, circuit=Circuit.CLOSED))
        posted = [Posted("other", calm, 1.0)]
        (one,) = dependencies(posted, common.read(database, [name], buckets(posted)))
        assert (one.circuit, one.common_circuit) == (Circuit.OPEN, Circuit.OPEN)
        assert [scope.shared for scope in one.scopes] == [name]
        by_hand.freeze(database, by_hand.scopes(one, None), seconds=60, actor="ada")
        eventually(lambda: guard.snapshot().quotas[0].frozen_seconds > 50)
        by_hand.thaw(database, by_hand.scopes(one, None), actor="ada")
        eventually(lambda: guard.snapshot().quotas[0].frozen_seconds == 0)
    finally:
        fleet.close()
