"""The worker's drills: queued, run, signed, recorded, and never left hanging."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from prodsprints.drills import policy, runs
from prodsprints.drills.catalog import Catalog
from prodsprints.drills.engine import Event
from prodsprints.drills.errors import JournalTamperedError
from prodsprints.drills.experiment import Safety
from prodsprints.drills.journal import Journal
from prodsprints.drills.runner import Runner
from prodsprints.drills.runs import DrillRun
from prodsprints.drills.schedule import Slot
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.statement import PredicateType
from prodsprints.ledger.witness import Witness
from prodsprints.register import testimony
from prodsprints.store.database import Database
from prodsprints.store.embedded import EmbeddedPostgres
from prodsprints.store.workers import Heartbeat
from support_waiting import eventually

CATALOG = Catalog.of(
    {
        "X001.1": ("example_drills:resets", "example_drills:throttled"),
        "X001.2": ("runner_drills:passes",),
        "X001.3": ("odd_drills:odd_words", "odd_drills:no_figure"),
    }
)


@pytest.fixture
def keyring(settings: Settings) -> Keyring:
    return Keyring.open(settings.home)


@pytest.fixture
def node(settings: Settings) -> Settings:
    """A node of its own, so that no other test's run is in the way."""
    return replace(settings, node=f"node-{uuid4().hex[:8]}")


@pytest.fixture
def worker(database: Database, node: Settings) -> Iterator[str]:
    """The name of a worker that beats."""
    name = f"worker-{uuid4().hex[:8]}"
    heartbeat = Heartbeat(database, worker=name, node=node.node, on_reaped=lambda: None)
    heartbeat.start()
    yield name
    heartbeat.stop()


@pytest.fixture
def runner(database: Database, settings: Settings, node: Settings, keyring: Keyring, worker: str) -> Iterator[Runner]:
    """A running one, and a sequencer for what it says."""
    sequencer = Sequencer(database, keyring, Witness.open(settings))
    made = Runner(database, node, keyring, CATALOG, worker)
    sequencer.start()
    made.start()
    yield made
    made.stop()
    sequencer.stop()


def _ask(database: Database, tenant: UUID, row: str = "X001.1", **more: str) -> DrillRun:
    given = {"variant": "resets", "environment": "demo", "actor": "ada", **more}
    return runs.request_run(database, tenant, row=row, id=uuid4(), **given)


def _withdraw(database: Database) -> None:
    """Leave nothing that a runner of the next test would take."""
    with database.dispatch() as connection:
        connection.execute("update drill_runs set status = 'running', worker = 'over' where status = 'queued'")


def _ended(database: Database, tenant: UUID, run: DrillRun) -> DrillRun:
    def look() -> DrillRun | None:
        found = runs.run(database, tenant, run.id)
        return found if found and found.status == "ended" else None

    found = eventually(look, seconds=40)
    assert found is not None
    return found


def test_a_run_is_drilled_signed_and_recorded(
    database: Database, tenant: UUID, keyring: Keyring, runner: Runner
) -> None:
    run = _ended(database, tenant, _ask(database, tenant))
    assert run.outcome is Outcome.HELD, run.reason
    assert run.evidence_index is not None
    entry = Ledger(database, tenant, keyring).entry(run.evidence_index)
    assert entry.statement.type is PredicateType.TEST_RESULT
    assert entry.statement.subjects[0].name == "X001.1"
    assert entry.statement.subjects[0].sha256 == run.digest == CATALOG.find("X001.1", "resets").digest
    said = entry.statement.predicate
    assert said["result"] == "PASSED"
    assert said["failedTests"] == []
    assert said["drill"]["environment"] == "demo"
    assert said["drill"]["peers"] == [{"name": "echo server", "version": "1", "class": "double"}]
    verdict = testimony.read(entry, str(tenant))
    assert isinstance(verdict, testimony.Verdict)
    assert verdict.outcome == "held"
    # Evidence leads to both journals, byte for byte.
    named = {each["name"]: each["digest"]["sha256"] for each in said["configuration"]}
    assert named == {"journal/treatment": run.treatment_journal, "journal/placebo": run.placebo_journal}
    for sha256 in named.values():
        journal = runs.journal(database, tenant, sha256)
        assert journal is not None
        assert journal.sha256 == sha256
    events = runs.events(database, tenant, run.id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind == "verdict"
    assert runs.events(database, tenant, run.id, after=events[-2].seq) == events[-1:]


def test_what_a_probe_read_off_a_broken_peer_is_kept_readable_and_signed(
    database: Database, tenant: UUID, runner: Runner
) -> None:
    run = _ended(database, tenant, _ask(database, tenant, "X001.3"))
    assert run.outcome is Outcome.HELD, run.reason
    assert run.evidence_index is not None
    told = runs.events(database, tenant, run.id)
    words = [event.data["words"] for event in told if event.kind == "probe" and event.data["group"] == "probes"]
    assert len(words) == 2
    assert all(words_.isprintable() for words_ in words)
    assert told[-1].kind == "verdict"


def test_a_figure_that_is_none_gives_no_verdict_and_says_so(database: Database, tenant: UUID, runner: Runner) -> None:
    run = _ended(database, tenant, _ask(database, tenant, "X001.3", variant="no-figure"))
    assert run.outcome is Outcome.NONE
    assert "recover_seconds" in run.reason


def test_outside_of_scratch_only_the_treatment_runs_and_links_its_placebo(
    database: Database, tenant: UUID, keyring: Keyring, runner: Runner
) -> None:
    early = _ended(database, tenant, _ask(database, tenant, environment="production"))
    assert early.outcome is Outcome.NONE
    assert "Run it in the demo environment first" in early.reason
    scratch = _ended(database, tenant, _ask(database, tenant))
    run = _ended(database, tenant, _ask(database, tenant, environment="production"))
    assert run.outcome is Outcome.HELD, run.reason
    assert run.placebo_journal == scratch.placebo_journal
    assert run.evidence_index is not None
    said = Ledger(database, tenant, keyring).entry(run.evidence_index).statement.predicate
    assert said["drill"]["placebo_of"] == scratch.evidence_index
    assert {"name": "journal/placebo", "digest": {"sha256": scratch.placebo_journal}} in said["configuration"]
    arms = {event.arm for event in runs.events(database, tenant, run.id)}
    assert arms == {"treatment", ""}


def test_a_run_of_a_drill_that_is_not_there_ends_with_the_reason(
    database: Database, tenant: UUID, runner: Runner
) -> None:
    run = _ended(database, tenant, _ask(database, tenant, row="X009.9"))
    assert run.outcome is Outcome.NONE
    assert "X009.9 has no drill." in run.reason
    broken = _ended(database, tenant, _ask(database, tenant, row="X001.2"))
    assert "cannot be imported" in broken.reason


def test_a_run_of_a_dead_worker_ends_without_a_verdict(
    database: Database, tenant: UUID, node: Settings, runner: Runner
) -> None:
    run = _ask(database, tenant)
    dead = "worker-that-died"
    with database.dispatch() as connection:
        connection.execute(
            "update drill_runs set status = 'running', worker = %s, node = %s where id = %s",
            [dead, "another node", run.id],
        )
    ended = _ended(database, tenant, run)
    assert ended.outcome is Outcome.NONE
    assert "died" in ended.reason


def test_a_run_whose_end_could_not_be_written_does_not_block_its_node(
    database: Database, tenant: UUID, node: Settings, worker: str, runner: Runner
) -> None:
    run = _ask(database, tenant)
    with database.dispatch() as connection:
        connection.execute(
            "update drill_runs set status = 'running', worker = %s, node = %s where id = %s and status = 'queued'",
            [worker, node.node, run.id],
        )
    assert _ended(database, tenant, run).outcome in {Outcome.NONE, Outcome.HELD}  # held if the runner was faster
    assert _ended(database, tenant, _ask(database, tenant)).outcome is Outcome.HELD


def test_a_worker_records_no_end_of_a_run_that_is_not_its_own(database: Database, tenant: UUID) -> None:
    run = _ask(database, tenant)
    assert not runs.finish(database, tenant, run.id, worker="somebody", outcome=Outcome.HELD, reason="r")
    found = runs.run(database, tenant, run.id)
    assert found is not None
    assert found.status == "queued"


def test_drills_of_one_node_run_one_at_a_time(database: Database, tenant: UUID, worker: str, node: Settings) -> None:
    for _ in range(3):
        _ask(database, tenant)
    claims: list[runs.Claim | None] = []

    def claim() -> None:
        claims.append(runs.claim(database, worker=worker, node=node.node))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = [each for each in claims if each]
    assert len(first) == 1
    assert runs.claim(database, worker=worker, node=f"not-{node.node}") not in {None, first[0]}
    runs.finish(database, first[0].tenant_id, first[0].id, worker=worker, outcome=Outcome.NONE, reason="")
    assert runs.claim(database, worker=worker, node=node.node)
    _withdraw(database)


def test_what_is_due_is_asked_for_once(database: Database, tenant: UUID, node: Settings, keyring: Keyring) -> None:
    slot = Slot(tenant, "X001.1", "resets", "demo", every=timedelta(0))
    scheduler = Runner(database, node, keyring, CATALOG, "nobody", slots=lambda: [slot])
    scheduler._enqueue()
    scheduler._enqueue()
    (run,) = runs.runs(database, tenant)
    assert run.scheduled
    assert run.requested_by == "schedule"
    _withdraw(database)


def test_asking_twice_under_one_id_asks_once(database: Database, tenant: UUID) -> None:
    id = uuid4()
    for _ in range(2):
        runs.request_run(database, tenant, row="X001.1", variant="v", environment="demo", actor="ada", id=id)
    assert [run.id for run in runs.runs(database, tenant)] == [id]
    _withdraw(database)


def test_runs_are_listed_newest_first_page_by_page(database: Database, tenant: UUID) -> None:
    made = [_ask(database, tenant, variant=f"v{number}") for number in range(5)]
    first = runs.runs(database, tenant, limit=2)
    rest = runs.runs(database, tenant, before=first[-1].position)
    assert [run.id for run in (*first, *rest)] == [run.id for run in reversed(made)]
    assert set(runs.last_runs(database, tenant, "demo")) == {("X001.1", f"v{number}") for number in range(5)}
    assert runs.runs(database, tenant, environment="production") == []
    _withdraw(database)


def test_a_journal_that_the_owner_of_the_database_changed_is_not_read(
    database: Database, tenant: UUID, postgres: EmbeddedPostgres
) -> None:
    sha256 = Journal(json.dumps({"of": str(tenant)}).encode()).sha256
    rule = "constraint drill_journals_check"
    with psycopg.connect(postgres.admin_address().conninfo, autocommit=True) as owner:
        with owner.transaction():
            owner.execute(f"alter table drill_journals drop {rule}")
            insert = "insert into drill_journals (tenant_id, sha256, content) values (%s, %s, '{}')"
            owner.execute(insert, [tenant, sha256])
            honest = "check (sha256 = encode(sha256(content), 'hex'))"
            owner.execute(f"alter table drill_journals add {rule} {honest} not valid")
        try:
            with pytest.raises(JournalTamperedError, match="its hash is another one"):
                runs.journal(database, tenant, sha256)
        finally:
            owner.execute("delete from drill_journals where sha256 = %s", [sha256])
            owner.execute(f"alter table drill_journals validate {rule}")


@pytest.mark.parametrize("table", ["drill_runs", "drill_events", "drill_journals"])
def test_another_tenant_sees_and_changes_nothing(database: Database, tenant: UUID, table: str) -> None:
    run = _ask(database, tenant)
    runs.add_events(database, tenant, run.id, 1, [Event("treatment", 0.1, "phase", {"name": "stand"})])
    with database.dispatch() as connection:
        other = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:10]}"]
        ).fetchone()
        connection.execute("update drill_runs set status = 'running', worker = 'w' where id = %s", [run.id])
    journal = Journal(json.dumps({"of": str(run.id)}).encode())
    assert runs.finish(database, tenant, run.id, worker="w", outcome=Outcome.HELD, reason="", treatment_journal=journal)
    assert other is not None
    assert runs.run(database, other["id"], run.id) is None
    assert runs.events(database, other["id"], run.id) == []
    assert runs.journal(database, other["id"], journal.sha256) is None
    with database.tenant(other["id"]) as connection:
        assert connection.execute(f"select count(*) as n from {table}".encode()).fetchone() == {"n": 0}
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.tenant(tenant) as connection:
        connection.execute(f"delete from {table}".encode())


def test_events_past_the_bound_are_not_kept(database: Database, tenant: UUID) -> None:
    run = _ask(database, tenant)
    runs.add_events(database, tenant, run.id, 4_999, [Event("placebo", 0.1, "phase", {"name": "x"})] * 5)
    assert [event.seq for event in runs.events(database, tenant, run.id)] == [4_999, 5_000]
    _withdraw(database)


@pytest.mark.parametrize(
    ("safety", "environment", "placebo", "word"),
    [
        (Safety.DESTRUCTIVE, "demo", False, None),
        (Safety.DESTRUCTIVE, "production", True, "destructive"),
        (Safety.REVERSIBLE, "production", True, "not there yet"),
        (Safety.OBSERVABLE, "production", False, "no placebo"),
        (Safety.OBSERVABLE, "production", True, None),
        (Safety.SAFE, "staging", True, None),
    ],
)
def test_where_a_drill_may_run(safety: Safety, environment: str, placebo: bool, word: str | None) -> None:
    refused = policy.refusal("X001.1", safety, environment, has_placebo=placebo)
    assert (refused is None) == (word is None)
    assert word is None or word in str(refused)
