"""kill -9 at any moment: every release ends as it should, and no step's effect happens twice."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil
import psycopg
import pytest

from prodsprints.release import appdb, progress, records
from prodsprints.store import leases
from support_platform import Platform
from support_waiting import eventually

STEPS = ("audit", "tests", "secrets", "image", "sbom", "migrate", "rollout", "keep")
ROUNDS = int(os.environ.get("PRODSPRINTS_KILL_ROUNDS", "1"))  # `make kills` asks for enough to make 20 tries and more


@pytest.mark.parametrize("round_number", range(ROUNDS))
@pytest.mark.timeout(240)
def test_a_release_survives_the_death_of_its_worker_in_every_step(
    platform: Platform, shop: Path, round_number: int
) -> None:
    project = f"killed-{round_number}"
    first = platform.release(shop, project=project, ref="v1")
    assert first.status == "released", platform.log(first)
    with platform.traffic(project, rate=100) as stop:
        second = platform.request(shop, project=project, ref="v2")
        killed = [name for name in STEPS if _kill_in(platform, second, name)]
        second = platform.ended(second, seconds=180)
        counts = stop()
    assert second.status == "released", platform.log(second)
    assert counts["failed_requests"] == 0
    steps = platform.steps(second)
    print(f"round {round_number}: killed in {', '.join(killed)}")  # noqa: T201 - shown by `make kills`
    assert {"tests", "image", "rollout", "keep"} <= set(killed), "the kills did not meet the steps"
    assert all(step.status in {"done", "skipped"} for step in steps.values())
    assert sum(step.attempt > 1 for step in steps.values()) >= len(killed) - 1
    _nothing_happened_twice(platform, project, second)


def _kill_in(platform: Platform, release: records.Release, name: str) -> bool:
    """SIGKILL as soon as the step runs; False if it was over before we saw it."""

    def seen() -> str | None:
        step = platform.steps(release).get(name)
        return step.status if step else None

    if eventually(seen, seconds=90, every=0.005) != "running":
        return False
    platform.kill_worker_of(release)
    return True


def _nothing_happened_twice(platform: Platform, project: str, release: records.Release) -> None:
    environment = platform.environment(project)
    assert environment.current_release_id == release.id
    route = platform.node.route(environment.key)
    assert [(arm.label, arm.weight) for arm in route.arms] == [("v2", 100)]
    log = platform.node.log(release.id.hex, 0).text
    assert log.count("Started server process") == 1, "the new version was started more than once"
    sequence = [event.seq for event in progress.events(platform.db, platform.tenant, release.id, limit=5000)]
    assert sequence == list(range(1, len(sequence) + 1)), "the live log has doubled or lost lines"
    ticks = progress.ticks(platform.db, platform.tenant, release.id)
    assert [tick.at for tick in ticks] == sorted({tick.at for tick in ticks}), "a tick was counted twice"
    admin = platform.scratch.postgres.admin_address()
    database = appdb.provision(admin, environment, key_file=platform.settings.home / "secrets" / "master.key")
    with psycopg.connect(database.url) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [("0002",)]


def test_a_release_whose_lease_was_lost_is_finished_by_another_worker(platform: Platform, shop: Path) -> None:
    """That the first one lost it is not the result of the step in which it noticed."""
    release = platform.request(shop, project="lost", ref="v1")
    eventually(lambda: platform.steps(release).get("tests"), seconds=60)
    with platform.db.tenant(platform.tenant) as connection:
        assert leases.break_(connection, platform.tenant, platform.environment("lost").lease)
    assert platform.ended(release).status == "released", platform.log(release)


@pytest.mark.timeout(240)
def test_everything_killed_at_once_comes_back_and_the_release_ends(platform: Platform, shop: Path) -> None:
    assert platform.release(shop, project="reborn", ref="v1").status == "released"
    second = platform.request(shop, project="reborn", ref="v2", strategy="direct")
    eventually(lambda: platform.steps(second).get("image"), seconds=60)
    for worker in platform.workers:
        worker.kill()
        worker.wait()
    platform.workers.clear()
    platform.agent.kill()
    platform.agent.wait()
    for process in platform.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    pid = platform.scratch.postgres.pid()
    assert pid is not None
    os.kill(pid, 9)
    eventually(lambda: platform.scratch.postgres.pid() is None)
    platform.scratch.postgres.start()
    platform.start_agent()
    platform.start_worker()
    platform.start_worker()
    assert platform.ended(second).status == "released", platform.log(second)
    arms = platform.node.route(platform.environment("reborn").key).arms
    assert [(arm.label, arm.weight) for arm in arms] == [("v2", 100)]
