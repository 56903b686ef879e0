"""The step `source` of a release from a Git host: what it records, says and refuses, and what a rollback needs."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from prodsprints.controls.integrations import mirror_records
from prodsprints.controls.integrations.git_address import Address
from prodsprints.controls.integrations.git_errors import BadAddressError, UnknownRefError
from prodsprints.controls.providers.guards import Guards
from prodsprints.kernel.settings import Settings
from prodsprints.release import dispatch, prepare, progress, records, requests
from prodsprints.release.mirrors import address_of
from prodsprints.release.records import Release
from prodsprints.release.run import Run
from prodsprints.release.targets.local import LocalTarget
from prodsprints.store.database import Database
from support_git import Origin

CONFIG = b"version: 1\nname: from-the-file\nrollout: {strategy: direct}\n"


class Bench:
    """One tenant that releases from a host."""

    def __init__(self, db: Database, settings: Settings, tenant: UUID) -> None:
        self.db = db
        self.settings = settings
        self.tenant = tenant
        self.node = f"n-{tenant.hex[:12]}"
        self.name = mirror_records.tenant_name(db, tenant)

    def request(self, address: Address, ref: str | None) -> Release:
        return requests.request_release(
            self.db, self.tenant, node=self.node, actor="ada", path=address, ref=ref, environment=None, project=None,
            strategy=None, id=uuid.uuid4(),
        )  # fmt: skip

    def run(self, release: Release) -> Run:
        dispatch.claim(self.db, worker="w", node=self.node)
        environment = records.environment(self.db, self.tenant, release.environment_id)
        assert environment is not None
        token = dispatch.adopt(self.db, self.tenant, release.id, resource=environment.lease, worker="w")
        assert token is not None
        return Run(
            db=self.db, settings=self.settings, target=LocalTarget(self.settings), release=release,
            environment=environment, worker="w", fencing_token=token, guards=Guards(), leave=pytest.fail,
        )  # fmt: skip

    def source(self, address: Address, ref: str | None) -> tuple[Run, progress.Step]:
        run = self.run(self.request(address, ref))
        run.step(1, "source", prepare.find_source)
        [step] = progress.steps(self.db, self.tenant, run.release.id)
        records.finish(
            self.db, run.release, status="failed", reason="", figures={}, serves=False, fencing_token=run.fencing_token
        )
        dispatch.let_go(
            self.db, self.tenant, resource=run.environment.lease, worker="w", fencing_token=run.fencing_token
        )
        return run, step

    def stored(self, run: Run) -> Release:
        found = records.get(self.db, self.tenant, run.release.id)
        assert found is not None
        return found


@pytest.fixture
def bench(database: Database, settings: Settings, tenant: UUID) -> Bench:
    settings.home.mkdir(parents=True, exist_ok=True)
    return Bench(database, settings, tenant)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path / "host")
    made.commit({"app.py": b"one\n", "prodsprints.yaml": CONFIG})
    made.tag("v1")
    return made


@pytest.fixture
def address(origin: Origin, bench: Bench) -> Iterator[Address]:
    """While the host serves."""
    with origin.serving() as where:
        origin.name_in(bench.settings.home, tenants=f"[{bench.name}]")
        yield where


def test_the_commit_of_a_remote_release_is_found_by_its_step(bench: Bench, origin: Origin, address: Address) -> None:
    queued = bench.request(address, "main")
    assert (queued.commit, queued.label, queued.repository, queued.project) == ("", "main", address.url, "shop")
    records.request_abort(bench.db, bench.tenant, queued.id)
    run, step = bench.source(address, "main")
    assert step.status == "done", step
    assert (bench.stored(run).commit, bench.stored(run).label) == (origin.git("rev-parse", "main"), "v1")
    assert step.detail["from_mirror"] is False and "degradations" not in step.detail
    assert progress.degradations([step]) == []
    assert prepare._settings(run).name == "from-the-file"


def test_a_release_from_the_mirror_says_so_in_its_record(bench: Bench, origin: Origin) -> None:
    with origin.serving() as address:
        origin.name_in(bench.settings.home, tenants=f"[{bench.name}]")
        bench.source(address, "v1")
    run, step = bench.source(address, "v1")
    assert step.status == "done"
    [degraded] = progress.degradations([step])
    assert (degraded.step, degraded.integration, degraded.title) == ("source", "git-host", "Git host")
    assert degraded.mirror_age_seconds is not None and degraded.mirror_age_seconds > 0
    assert degraded.said == step.summary
    events = progress.events(bench.db, bench.tenant, run.release.id)
    assert [event.kind for event in events if event.kind == "degraded"] == ["degraded"]
    _, moving = bench.source(address, "main")
    assert (moving.status, moving.detail["code"]) == ("refused", "integrations/mirror-stale")
    _, unknown = bench.source(address, "v9")
    assert (unknown.status, unknown.detail["code"]) == ("refused", "integrations/unknown-ref")
    [mirror] = mirror_records.mirrors(bench.db, bench.tenant)
    assert mirror.failing and mirror.node == bench.settings.node


def test_a_rollback_reads_its_commit_although_the_mirror_is_gone(
    bench: Bench, origin: Origin, address: Address
) -> None:
    run, _ = bench.source(address, "v1")
    commit = bench.stored(run).commit
    rollback = records.add(
        bench.db, run.environment, id=uuid.uuid4(), kind="rollback", repository=address.url, commit=commit, label="v1",
        digest="sha256:" + "0" * 64, requested_by="ada", options={"of": str(run.release.id)},
    )  # fmt: skip
    shutil.rmtree(bench.settings.home / "mirrors")
    assert prepare.directly(bench.run(rollback)).strategy == "direct"


@pytest.mark.parametrize("ref", ["--upload-pack=x", "-x", "a b"])
def test_a_ref_that_looks_like_an_option_is_refused_at_once(bench: Bench, address: Address, ref: str) -> None:
    with pytest.raises(UnknownRefError):
        bench.request(address, ref)


def test_plain_http_and_other_tenants_hosts_are_refused_at_once(
    bench: Bench, address: Address, database: Database
) -> None:
    assert address_of(bench.db, bench.settings, bench.tenant, address.url) == address
    with database.dispatch() as connection:
        row = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"o-{uuid.uuid4().hex[:12]}"]
        ).fetchone()
    assert row is not None
    with pytest.raises(BadAddressError, match="https"):
        address_of(bench.db, bench.settings, row["id"], address.url)


def test_no_secret_of_a_host_reaches_the_record(bench: Bench, origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("not-the-right-one")
    with origin.serving(password="the-right-one") as address:
        origin.name_in(bench.settings.home, tenants=f"[{bench.name}]", token_file=str(tmp_path / "token"))
        run, step = bench.source(address, "v1")
    assert step.status == "refused"
    log = "".join(event.message for event in progress.events(bench.db, bench.tenant, run.release.id))
    assert "not-the-right-one" not in log + str(step)
