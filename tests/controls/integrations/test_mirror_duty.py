"""A worker's duty towards mirrors: those that serve stay fresh, those that nobody needs go, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from prodsprints.controls.integrations import git_way, mirror_records
from prodsprints.controls.integrations.git_address import Address
from prodsprints.controls.integrations.mirror import Mirrors
from prodsprints.controls.integrations.mirror_duty import MirrorDuty
from prodsprints.controls.integrations.mirror_records import MirrorRecord
from prodsprints.controls.providers.guards import Guards
from prodsprints.release import records
from prodsprints.release.mirrors import mirrors
from prodsprints.store.database import Database
from support_git import Origin

POLICY = git_way.patience(retry_wait_seconds=0.02)


class House:
    """One tenant's mirrors on a node of its own, and the releases that need them."""

    def __init__(self, db: Database, tenant: UUID, home: Path) -> None:
        self.db = db
        self.tenant = tenant
        self.node = f"n-{tenant.hex[:12]}"
        self.home = home
        self.guards = Guards()
        with db.auth() as connection:
            row = connection.execute("select name from tenants where id = %s", [tenant]).fetchone()
        assert row is not None
        self.name = str(row["name"])

    def mirrors(self, tenant: UUID | None = None) -> Mirrors:
        def note(noted: object) -> None:
            mirror_records.note(self.db, tenant or self.tenant, self.node, noted)  # type: ignore[arg-type]

        return Mirrors(
            self.home / "mirrors", host_of=git_way.host_of(self.home, self.name, self.guards, policy=POLICY), note=note
        )

    def release(self, address: Address, commit: str, status: str, *, serves: bool = False) -> None:
        place = records.ensure_environment(
            self.db, self.tenant, project="shop", repository=address.url, environment="production", node=self.node
        )
        made = records.add(
            self.db,
            place,
            id=uuid4(),
            kind="release",
            repository=address.url,
            commit=commit,
            label="v1",
            requested_by="x",
        )
        records.finish(
            self.db, made, status=status, reason="", figures={}, serves=serves, fencing_token=None  # type: ignore[arg-type]
        )  # fmt: skip

    def look(self) -> None:
        MirrorDuty(self.db, self.node, self.mirrors).look()

    def age(self, interval: str) -> None:
        with self.db.tenant(self.tenant) as connection:
            connection.execute(
                "update mirrors set used_at = used_at - %(i)s::interval, fetched_at = fetched_at - %(i)s::interval,"
                " failed_at = failed_at - %(i)s::interval",
                {"i": interval},
            )

    @property
    def record(self) -> MirrorRecord | None:
        return next(iter(mirror_records.mirrors(self.db, self.tenant)), None)


@pytest.fixture
def house(database: Database, tenant: UUID, tmp_path: Path) -> House:
    (tmp_path / "home").mkdir()
    return House(database, tenant, tmp_path / "home")


@pytest.fixture
def origin(tmp_path: Path, house: House) -> Iterator[Origin]:
    made = Origin(tmp_path / "host")
    made.commit({"app.py": b"one"})
    with made.serving() as address:
        made.name_in(house.home, tenants=f"[{house.name}]")
        house.mirrors().obtain(address, None)
        yield made


def test_what_serves_is_fetched_again_when_it_is_due_and_not_before(house: House, origin: Origin) -> None:
    house.release(origin.address, origin.git("rev-parse", "main"), "released", serves=True)
    new = origin.commit({"app.py": b"two"})
    before = house.record
    house.look()
    assert before == house.record
    assert before is not None and before.serving and before.needed
    house.age("16 minutes")
    house.look()
    after = house.record
    assert after is not None and after.fetched_at is not None and before.fetched_at is not None
    assert after.fetched_at >= before.fetched_at
    assert house.mirrors().obtain(origin.address, new).asked is False


def test_a_host_that_is_gone_is_noted_and_asked_again_no_sooner_than_is_due(house: House, tmp_path: Path) -> None:
    origin = Origin(tmp_path / "other")
    commit = origin.commit({"app.py": b"one"})
    with origin.serving() as address:
        origin.name_in(house.home, tenants=f"[{house.name}]")
        house.mirrors().obtain(address, None)
    house.release(address, commit, "released", serves=True)
    house.age("16 minutes")
    house.look()
    record = house.record
    assert record is not None and record.failing and "Couldn't connect" in record.failure
    house.look()
    assert house.record == record


@pytest.mark.parametrize(("status", "kept"), [("released", True), ("failed", False), ("refused", False)])
def test_a_mirror_goes_only_when_no_kept_version_needs_it(
    house: House, origin: Origin, status: str, kept: bool
) -> None:
    house.release(origin.address, origin.git("rev-parse", "main"), status)
    house.age("6 days")
    house.look()
    assert house.record is not None
    house.age("2 days")
    house.look()
    assert (house.record is not None) is kept
    assert house.mirrors().place(origin.address).exists() is kept


def test_a_release_that_waits_keeps_its_mirror(house: House, origin: Origin) -> None:
    place = records.ensure_environment(
        house.db, house.tenant, project="shop", repository=origin.address.url, environment="production", node="n"
    )
    records.add(
        house.db,
        place,
        id=uuid4(),
        kind="release",
        repository=place.repository,
        commit="",
        label="v1",
        requested_by="x",
    )
    house.age("30 days")
    house.look()
    assert house.record is not None and house.record.needed


def test_another_nodes_mirrors_are_not_this_workers(house: House, origin: Origin) -> None:
    house.age("30 days")
    MirrorDuty(house.db, "another-node", house.mirrors).look()
    assert house.record is not None


def test_the_worker_refreshes_the_mirrors_that_releases_use(house: House) -> None:
    from prodsprints.kernel.settings import Settings

    settings = Settings.from_environment({"PRODSPRINTS_HOME": str(house.home), "PRODSPRINTS_NODE": house.node})
    made = mirrors(house.db, settings, house.guards, house.tenant)
    assert isinstance(made, Mirrors)
    assert (
        made.place(Address("https://h/x", "https", "h", 443, "x")).parent == house.home / "mirrors" / house.tenant.hex
    )
