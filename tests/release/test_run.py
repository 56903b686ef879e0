"""Steps run under a lease: recorded once, resumed where they stood, and never written by a worker that lost it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from prodsprints.controls.providers.guards import Guards
from prodsprints.kernel.settings import Settings
from prodsprints.release import dispatch, progress, records
from prodsprints.release.errors import CannotReleaseError
from prodsprints.release.output import Output
from prodsprints.release.records import Release
from prodsprints.release.run import Outcome, Run
from prodsprints.release.targets.local import LocalTarget
from prodsprints.release.verdict import Tick
from prodsprints.store.database import Database
from prodsprints.store.errors import FencedError

MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(database: Database, settings: Settings, tenant: UUID) -> MakeRun:
    environment = records.ensure_environment(
        database, tenant, project="shop", repository="/srv/shop", environment="production", node=f"n-{tenant.hex}"
    )

    def make(worker: str = "first") -> Run:
        found = records.releases(database, tenant)
        release = (
            found[0]
            if found
            else records.add(
                database,
                environment,
                id=uuid4(),
                kind="release",
                repository="/srv/shop",
                commit="a" * 40,
                label="v1",
                requested_by="somebody",
            )
        )
        dispatch.claim(database, worker=worker, node=environment.node)
        token = dispatch.adopt(database, tenant, release.id, resource=environment.lease, worker=worker)
        assert token is not None
        return Run(
            db=database,
            settings=settings,
            target=LocalTarget(settings),
            guards=Guards(),
            release=release,
            environment=environment,
            worker=worker,
            fencing_token=token,
            leave=pytest.fail,
        )

    return make


@pytest.fixture
def run(make_run: MakeRun) -> Run:
    return make_run()


def take_over(make_run: MakeRun, database: Database, tenant: UUID) -> Run:
    """Another worker, after the first one's lease has run out."""
    with database.tenant(tenant) as connection:
        connection.execute("update leases set expires_at = now() - interval '1 s'")
    return make_run("second")


def give_back(run: Run) -> None:
    """Give the lease back, as a worker does when its release has ended."""
    dispatch.let_go(
        run.db,
        run.release.tenant_id,
        resource=run.environment.lease,
        worker=run.worker,
        fencing_token=run.fencing_token,
    )


def current(run: Run) -> UUID | None:
    """The release that the environment serves."""
    found = records.environment(run.db, run.release.tenant_id, run.environment.id)
    assert found is not None
    return found.current_release_id


def finish(run: Run) -> None:
    """Record that what `run` released is kept, as its last step does."""
    records.finish(
        run.db, run.release, status="released", reason="", figures={}, serves=True, fencing_token=run.fencing_token
    )


def test_a_step_is_recorded_with_its_outcome_and_its_log(run: Run) -> None:
    def body(run: Run) -> Outcome:
        run.say("looking")
        return Outcome("done", "Found it.", {"answer": 42})

    assert run.step(1, "audit", body).passed
    [step] = progress.steps(run.db, run.release.tenant_id, run.release.id)
    assert (step.status, step.summary, step.detail, step.attempt) == ("done", "Found it.", {"answer": 42}, 1)
    events = progress.events(run.db, run.release.tenant_id, run.release.id)
    assert [(event.seq, event.message) for event in events] == [(1, "begins"), (2, "looking"), (3, "Found it.")]


def test_a_finished_step_is_not_run_again(run: Run) -> None:
    calls: list[int] = []

    def body(_: Run) -> Outcome:
        calls.append(1)
        return Outcome("done", "Once.")

    run.step(1, "audit", body)
    assert run.step(1, "audit", body).summary == "Once."
    assert calls == [1]


def test_an_interrupted_step_is_run_again_by_the_next_worker(
    run: Run, make_run: MakeRun, database: Database, tenant: UUID
) -> None:
    class Killed(BaseException):
        pass

    def killed(_: Run) -> Outcome:
        raise Killed

    with pytest.raises(Killed):
        run.step(1, "audit", killed)
    second = take_over(make_run, database, tenant)
    assert second.step(1, "audit", lambda _: Outcome("done", "Done now.")).passed
    [step] = progress.steps(database, tenant, run.release.id)
    assert step.attempt == 2
    sequence = [event.seq for event in progress.events(database, tenant, run.release.id)]
    assert sequence == sorted(set(sequence))


def test_a_worker_that_lost_its_lease_can_neither_begin_nor_finish(
    run: Run, make_run: MakeRun, database: Database, tenant: UUID
) -> None:
    def loses_the_lease(_: Run) -> Outcome:
        take_over(make_run, database, tenant)
        return Outcome("done", "Too late.")

    with pytest.raises(FencedError):
        run.step(1, "audit", loses_the_lease)
    with pytest.raises(FencedError):
        run.step(2, "tests", lambda _: Outcome("done", "Never."))
    [step] = progress.steps(database, tenant, run.release.id)
    assert step.status == "running"


def test_a_worker_that_lost_its_lease_adds_no_line_to_the_log(
    run: Run, make_run: MakeRun, database: Database, tenant: UUID
) -> None:
    second = take_over(make_run, database, tenant)
    run.say("too late")
    with pytest.raises(FencedError):
        run.flush()
    second.say("in its place")
    second.flush()
    assert [event.message for event in progress.events(database, tenant, run.release.id)] == ["in its place"]


def test_a_worker_that_lost_its_lease_adds_no_evidence(
    run: Run, make_run: MakeRun, database: Database, tenant: UUID
) -> None:
    second = take_over(make_run, database, tenant)
    late, its_own = Tick(1.0, 5, 10, 0, 10, 9), Tick(1.1, 5, 10, 0, 10, 0)
    for worker, tick in ((run, late), (second, its_own)):
        progress.add_tick(database, tenant, run.release.id, 0, tick, fencing_token=worker.fencing_token)
    assert progress.ticks(database, tenant, run.release.id) == [its_own]


def test_a_worker_that_lost_its_lease_cannot_say_how_the_release_ended(
    run: Run, make_run: MakeRun, database: Database, tenant: UUID
) -> None:
    second = take_over(make_run, database, tenant)
    finish(run)
    assert current(run) is None
    finish(second)
    assert current(run) == run.release.id


def test_a_late_end_does_not_bring_an_older_version_back(run: Run, make_run: MakeRun, database: Database) -> None:
    finish(run)
    give_back(run)
    newer = records.add(
        database,
        run.environment,
        id=uuid4(),
        kind="release",
        repository="/srv/shop",
        commit="b" * 40,
        label="v2",
        requested_by="somebody",
    )
    following = make_run("second")
    assert following.release.id == newer.id
    finish(following)
    finish(run)
    assert current(run) == newer.id


def test_nobody_takes_a_lease_over_while_something_is_written_under_it(run: Run, database: Database) -> None:
    with database.tenant(run.release.tenant_id) as writing:
        held = writing.execute(
            "select holds_lease(%s, %s, %s) as so", [run.environment.lease, run.worker, run.fencing_token]
        ).fetchone()
        assert held is not None
        assert held["so"]
        with database.tenant(run.release.tenant_id) as taking:  # as an acquiring `update` would lock it
            free = taking.execute("select from leases for no key update skip locked")
            assert free.rowcount == 0


def test_a_refusal_becomes_an_outcome_that_says_what_to_do(run: Run) -> None:
    def refuses(_: Run) -> Outcome:
        raise CannotReleaseError("It is a Node application.", next_step="Wait for step 9.")

    outcome = run.step(1, "audit", refuses)
    assert (outcome.status, outcome.summary) == ("refused", "It is a Node application.")
    assert outcome.detail["next_step"] == "Wait for step 9."


def test_a_defect_of_ours_ends_the_step_without_a_traceback(run: Run) -> None:
    def breaks(_: Run) -> Outcome:
        raise ZeroDivisionError("secret internals")

    outcome = run.step(1, "audit", breaks)
    assert outcome.status == "failed"
    messages = [event.message for event in progress.events(run.db, run.release.tenant_id, run.release.id)]
    assert not any("secret internals" in text or "Traceback" in text for text in [outcome.summary, *messages])


def test_secrets_do_not_reach_the_live_log_or_the_record(run: Run) -> None:
    run.redactor.learn("s3cr3t-value")

    def talks(run: Run) -> Outcome:
        run.say("using s3cr3t-value and postgres://u:pw123456@h/db", data={"password": "s3cr3t-value"})
        return Outcome("done", "Used s3cr3t-value.")

    outcome = run.step(1, "audit", talks)
    events = progress.events(run.db, run.release.tenant_id, run.release.id)
    steps = progress.steps(run.db, run.release.tenant_id, run.release.id)
    assert "s3cr3t-value" not in repr(outcome) + repr(events) + repr(steps)
    assert "pw123456" not in repr(events)


def test_a_second_release_of_an_environment_waits_for_the_first(run: Run, database: Database) -> None:
    records.add(
        database,
        run.environment,
        id=uuid4(),
        kind="release",
        repository="/srv/shop",
        commit="b" * 40,
        label="v2",
        requested_by="somebody",
    )
    assert dispatch.claim(database, worker="other", node=run.environment.node) is None
    finish(run)
    give_back(run)
    assert dispatch.claim(database, worker="other", node=run.environment.node) is not None


def test_a_repeated_request_queues_nothing_new(run: Run, database: Database) -> None:
    again = records.add(
        database,
        run.environment,
        id=run.release.id,
        kind="release",
        repository="/",
        commit="a" * 40,
        label="v1",
        requested_by="somebody",
    )
    assert again.number == run.release.number
    assert len(records.releases(database, run.release.tenant_id)) == 1


def test_a_second_rollback_goes_further_back_and_never_forward_again(run: Run, database: Database) -> None:
    def kept(label: str, of: Release | None = None) -> Release:
        release = records.add(
            database,
            run.environment,
            id=uuid4(),
            kind="rollback" if of else "release",
            repository="/srv/shop",
            commit="a" * 40,
            label=label,
            digest=f"sha256:{label[1:] * 64}",
            requested_by="somebody",
            options={"of": str(of.id)} if of else {},
        )
        records.finish(database, release, status="released", reason="", figures={}, serves=True, fencing_token=None)
        return release

    def goes_back_to() -> str | None:
        environment = records.environment(database, run.release.tenant_id, run.environment.id)
        assert environment is not None
        found = records.previous(database, environment)
        return found.label if found else None

    first, second, _ = kept("v1"), kept("v2"), kept("v3")
    assert goes_back_to() == "v2"
    kept("v2", of=second)
    assert goes_back_to() == "v1"
    kept("v1", of=first)
    assert goes_back_to() is None
    kept("v4")
    assert goes_back_to() == "v1", "v3 and v2 were gone back from"


def test_a_flood_of_output_leaves_a_bounded_log_with_both_its_ends(run: Run) -> None:
    def floods(run: Run) -> Outcome:
        with Output(run) as output:
            for number in range(5_000):
                output.line(f"line {number}")
        return Outcome("done", "Done.")

    run.step(2, "tests", floods)
    said = [event.message for event in progress.events(run.db, run.release.tenant_id, run.release.id, limit=9_999)]
    assert len(said) < 2_200
    assert {"line 0", "line 4999"} < set(said)
    assert "… 2,900 lines left out" in said


def test_a_request_to_stop_is_heard_while_a_program_runs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    records.request_abort(run.db, run.release.tenant_id, run.release.id)
    monkeypatch.setattr("prodsprints.release.output._PULSE_SECONDS", 0)

    def works(run: Run) -> Outcome:
        with Output(run) as output:
            output.pulse()
        return Outcome("done", "Done.")

    outcome = run.step(2, "tests", works)
    assert (outcome.status, outcome.detail["code"]) == ("failed", "release/aborted")
