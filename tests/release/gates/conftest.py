"""A release that is under way, for gates that are steps of one."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from prodsprints.controls.providers.guards import Guards
from prodsprints.kernel.settings import Settings
from prodsprints.release import dispatch, records
from prodsprints.release.run import Run
from prodsprints.release.targets.local import LocalTarget
from prodsprints.store.database import Database


@pytest.fixture
def release(database: Database, settings: Settings, tenant: UUID) -> Callable[[str], Run]:
    """A running release of a commit whose prodsprints.yaml says so."""

    def make(text: str) -> Run:
        environment = records.ensure_environment(
            database, tenant, project="shop", repository="/srv/shop", environment="production", node=f"n-{tenant.hex}"
        )
        added = records.add(
            database, environment, id=uuid4(), kind="release", repository="/srv/shop", commit="a" * 40, label="v1",
            requested_by="somebody",
        )  # fmt: skip
        dispatch.claim(database, worker="first", node=environment.node)
        token = dispatch.adopt(database, tenant, added.id, resource=environment.lease, worker="first")
        assert token is not None
        run = Run(
            db=database, settings=settings, target=LocalTarget(settings), guards=Guards(), release=added,
            environment=environment, worker="first", fencing_token=token, leave=pytest.fail,
        )  # fmt: skip
        run.tree().mkdir(parents=True)
        (run.tree() / "prodsprints.yaml").write_text(text)
        return run

    return make
