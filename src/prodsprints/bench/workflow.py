"""What durability costs: the release skeleton beside bare DBOS, and how fast a dead worker's release goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from dbos import DBOS, SetWorkflowID, StepOptions

from prodsprints.bench.report import Figure, Progress, Result, interleave
from prodsprints.bench.scratch import Scratch, scratch
from prodsprints.controls.providers.guards import Guards
from prodsprints.release import dispatch, records, requests
from prodsprints.release.records import Environment
from prodsprints.release.run import Outcome, Run
from prodsprints.release.targets.local import LocalTarget
from prodsprints.release.workflow import perform
from prodsprints.store.database import one
from prodsprints.store.engine import Engine

_STEPS = ("audit", "tests", "secrets", "image", "sbom")
_ROUNDS = 9
_WORKFLOWS_A_ROUND = 20
_TAKEOVERS = 5
_MOST_SECONDS = 60.0


def cases(progress: Progress) -> Iterator[Result]:
    """`five-steps` and `takeover`, both on a PostgreSQL of their own."""
    with scratch() as platform:
        progress("five empty steps, with lease and events, beside bare DBOS")
        yield _five_steps(platform)
    with scratch() as platform:
        progress(f"kill -9 of a worker in a step, {_TAKEOVERS} times")
        yield _takeover(platform, progress)


def _five_steps(platform: Scratch) -> Result:
    engine = Engine(platform.postgres.address(), worker=f"bench-{uuid.uuid4().hex}", queue="bench")
    bare, ours = DBOS.workflow(name="bare")(_bare), DBOS.workflow(name="release")(lambda id: _skeleton(_runs[id]))
    engine.launch()
    tenant = platform.tenant()
    environments = [
        records.ensure_environment(
            platform.db, tenant, project=f"p{n}", repository="/", environment="production", node="bench"
        )
        for n in range(_WORKFLOWS_A_ROUND)
    ]

    def time_bare() -> float:
        ids = [uuid.uuid4().hex for _ in environments]
        began = time.perf_counter()
        for id in ids:
            with SetWorkflowID(id):
                bare(id)
        return (time.perf_counter() - began) / len(ids)

    def time_ours() -> float:
        releases = [_release(platform, environment) for environment in environments]
        began = time.perf_counter()
        for run_id in releases:
            with SetWorkflowID(run_id):
                ours(run_id)
        return (time.perf_counter() - began) / len(releases)

    time_bare(), time_ours()
    figures = interleave({"ours": time_ours, "dbos": time_bare}, _ROUNDS)
    engine.stop()
    return Result(
        bench="workflow", case="five-steps", unit="s", ours=figures["ours"], peers={"dbos": figures["dbos"].value}
    )


_runs: dict[str, Run] = {}


def _release(platform: Scratch, environment: Environment) -> str:
    """A queued release, claimed as a worker claims it; what a user waits for before the clock starts."""
    id = uuid.uuid4()
    release = records.add(
        platform.db,
        environment,
        id=id,
        kind="release",
        repository="/",
        commit="0" * 40,
        label="v1",
        requested_by="bench",
    )
    with platform.db.dispatch() as connection:
        connection.execute("update releases set status = 'running' where id = %s", [id])
    _runs[str(id)] = Run(
        db=platform.db,
        settings=platform.settings,
        target=LocalTarget(platform.settings),
        guards=Guards(),
        release=release,
        environment=environment,
        worker="bench",
        fencing_token=0,
        leave=lambda _: None,
    )
    return str(id)


def _skeleton(run: Run) -> str:
    token = dispatch.adopt(
        run.db, run.release.tenant_id, run.release.id, resource=run.environment.lease, worker=run.worker
    )
    run.fencing_token = int(token or 0)
    for name in _STEPS:
        perform(run, name, lambda _: Outcome("done", "Nothing to do."))
    dispatch.let_go(
        run.db,
        run.release.tenant_id,
        resource=run.environment.lease,
        worker=run.worker,
        fencing_token=run.fencing_token,
    )
    return "released"


def _bare(_id: str) -> str:
    for name in _STEPS:
        DBOS.run_step(StepOptions(name=name), lambda: {"status": "done", "summary": "Nothing to do.", "detail": {}})
    return "released"


def _takeover(platform: Scratch, progress: Progress) -> Result:
    """From the dead worker's last heartbeat to the moment the interrupted step begins again elsewhere."""
    repository = _waiting_repository(platform.settings.home / "repository")
    tenant = platform.tenant()
    workers = [_worker(platform), _worker(platform)]
    seconds: list[float] = []
    try:
        for number in range(_TAKEOVERS):
            release = requests.request_release(
                platform.db,
                tenant,
                node="bench",
                actor="bench",
                path=repository,
                ref=None,
                environment=None,
                project=f"waits-{number}",
                strategy=None,
                id=uuid.uuid4(),
            )
            first = _wait_for_attempt(platform, tenant, release.id, 1)
            dead = next(worker for worker in workers if f"-{worker.pid}-" in first["worker"])
            os.kill(dead.pid, signal.SIGKILL)
            dead.wait()
            workers.remove(dead)
            workers.append(_worker(platform))
            again = _wait_for_attempt(platform, tenant, release.id, 2)
            with platform.db.dispatch() as connection:
                last = connection.execute(
                    "select heartbeat_at from workers where id = %s", [first["worker"]]
                ).fetchone()
            seconds.append((again["started_at"] - one(last)["heartbeat_at"]).total_seconds())
            progress(f"taken over after {seconds[-1]:.2f} s")
            records.request_abort(platform.db, tenant, release.id)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    figure = Figure(median(seconds), len(seconds), min(seconds), max(seconds))
    return Result(bench="workflow", case="takeover", unit="s", ours=figure, bound=5.0)


def _worker(platform: Scratch) -> subprocess.Popen[bytes]:
    log = (platform.settings.home / "logs" / "worker.log").open("ab")
    environment = {
        "PATH": os.environ["PATH"],
        "PRODSPRINTS_HOME": str(platform.settings.home),
        "PRODSPRINTS_NODE": "bench",
        "PRODSPRINTS_DATABASE_URL": platform.postgres.address().conninfo,
    }
    command = [sys.executable, "-m", "prodsprints.cli.main", "worker"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _wait_for_attempt(platform: Scratch, tenant: uuid.UUID, release: uuid.UUID, attempt: int) -> dict[str, Any]:
    deadline = time.monotonic() + _MOST_SECONDS
    while time.monotonic() < deadline:
        with platform.db.tenant(tenant) as connection:
            row = connection.execute(
                """
                select r.worker, s.started_at from release_steps s join releases r on r.id = s.release_id
                where s.release_id = %s and s.name = 'tests' and s.attempt >= %s
                """,
                [release, attempt],
            ).fetchone()
        if row is not None:
            return row
        time.sleep(0.05)
    raise TimeoutError(f"no worker began attempt {attempt} within {_MOST_SECONDS} s")


def _waiting_repository(path: Path) -> Path:
    """A repository whose own tests take longer than the benchmark looks."""
    path.mkdir()
    (path / "Procfile").write_text("web: python -m http.server $PORT\n")
    (path / "requirements.txt").write_text("")
    (path / "prodsprints.yaml").write_text(
        f"version: 1\nname: waits\ntest: [python, -c, 'import time; time.sleep({_MOST_SECONDS})']\n"
    )
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "wait"]):
        subprocess.run([*git, *arguments], cwd=path, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return path
