"""A real platform for the tests: a home and a PostgreSQL per test process, a fresh tenant per test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import settings as hypothesis_settings

from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database
from prodsprints.store.embedded import LOGIN, EmbeddedPostgres
from prodsprints.store.migrate import migrate

pytest_plugins = ["support_places", "support_images"]

# Two cores are shared by everything: a slow example says nothing about the code.
hypothesis_settings.register_profile("prodsprints", deadline=None)
hypothesis_settings.load_profile("prodsprints")


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    # Not below pytest's own directories, which are closed to others: as root, PostgreSQL runs as another user.
    path = Path(tempfile.mkdtemp(prefix="prodsprints-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def settings(home: Path) -> Settings:
    return replace(Settings.from_environment({}), home=home, node="test")


@pytest.fixture(scope="session")
def postgres(settings: Settings) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(settings)
    server.start()
    migrate(server.admin_address(), login_role=LOGIN)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    db = Database(postgres.address(), patience_seconds=10)
    yield db
    db.close()


@pytest.fixture
def tenant(database: Database) -> UUID:
    with database.dispatch() as connection:
        row = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"t-{uuid4().hex[:12]}"]
        ).fetchone()
    assert row is not None
    return row["id"]
