"""A release from end to end, as one durable workflow; read it from top to bottom."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from dbos import DBOS, StepOptions

from prodsprints.release import prepare, records, rollout
from prodsprints.release.records import Status
from prodsprints.release.run import Outcome, Run
from prodsprints.store.errors import DatabaseUnavailableError, FencedError


def release(run: Run) -> Status:
    """source → audit → account → register → gates → image → migrate → rollout → keep or roll back → record."""
    for name, body in (
        ("source", prepare.find_source),
        ("audit", prepare.audit),
        ("account", prepare.account),
        ("register", prepare.register),
        ("tests", prepare.tests),
        ("secrets", prepare.secrets),
        ("image", prepare.image),
        ("sbom", prepare.sbom),
        ("migrate", prepare.migrate),
    ):
        outcome = perform(run, name, _unless_aborted(body))
        if not outcome.passed:
            return record(run, _stopped(outcome), outcome, serves=False)
    rolled = perform(
        run,
        "rollout",
        _unless_aborted(lambda run: rollout.roll_out(run, prepare.workload(run), prepare.plan(run))),
    )
    if rolled.passed and rolled.detail["decision"] == "keep":
        kept = perform(run, "keep", rollout.keep)
        if kept.passed:
            return record(run, "released", rolled, serves=True)
        rolled = kept
    perform(run, "roll back", rollout.roll_back)
    return record(run, _turned_back(rolled), rolled, serves=False)


def go_back(run: Run) -> Status:
    """A rollback by hand: the earlier version starts again from its image and takes all traffic at once."""
    started = perform(
        run,
        "rollout",
        _unless_aborted(lambda run: rollout.roll_out(run, prepare.workload(run), prepare.directly(run))),
    )
    if started.passed:
        kept = perform(run, "keep", rollout.keep)
        if kept.passed:
            return record(run, "released", started, serves=True)
        started = kept
    perform(run, "roll back", rollout.roll_back)
    return record(run, _stopped(started), started, serves=False)


def record(run: Run, status: Status, outcome: Outcome, *, serves: bool) -> Status:
    """The last step: how it ended, why, and with which figures."""

    def body(run: Run) -> Outcome:
        shutil.rmtree(run.workspace, ignore_errors=True)
        return Outcome("done", f"{run.release.label}: {status.replace('_', ' ')}.")

    perform(run, "record", body)
    # After the step, not in it: until this is written the release counts as running, and whoever resumes it comes here.
    route = run.target.route(run.environment.key)
    records.finish(
        run.db,
        run.release,
        status=status,
        reason=outcome.summary,
        figures=outcome.detail,
        serves=serves,
        fencing_token=run.fencing_token,
        port=route.port if route else None,
    )
    return status


def perform(run: Run, name: str, body: Callable[[Run], Outcome]) -> Outcome:
    """One step, durable twice: in our record, which people read, and in the engine's, which resumes from it.

    A worker that lost its lease or its database ends within the step: the engine would keep the error as the step's
    result, and whoever goes on with the release would be given it.
    """

    def step() -> dict[str, Any]:
        try:
            outcome = run.step(_POSITIONS[name], name, body)
        except (FencedError, DatabaseUnavailableError) as error:
            run.leave(error)
            raise
        return {"status": outcome.status, "summary": outcome.summary, "detail": outcome.detail}

    return Outcome(**DBOS.run_step(StepOptions(name=name), step))


def _unless_aborted(body: Callable[[Run], Outcome]) -> Callable[[Run], Outcome]:
    """`body`, which does not even begin when somebody has asked for this release to stop."""

    def checked(run: Run) -> Outcome:
        run.check()
        return body(run)

    return checked


_POSITIONS = {
    name: position
    for position, name in enumerate(
        (
            *("source", "audit", "account", "register", "tests", "secrets", "image", "sbom"),
            *("migrate", "rollout", "keep", "roll back", "record"),
        ),
        start=1,
    )
}


def _stopped(outcome: Outcome) -> Status:
    if outcome.detail.get("code") == "release/aborted":
        return "aborted"
    return "refused" if outcome.status == "refused" else "failed"


def _turned_back(outcome: Outcome) -> Status:
    if outcome.detail.get("aborted") or outcome.detail.get("code") == "release/aborted":
        return "aborted"
    return "rolled_back" if outcome.detail.get("decision") == "reject" else "failed"
