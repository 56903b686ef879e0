"""A platform of its own for a benchmark: a PostgreSQL below a temporary home, gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database, one
from prodsprints.store.embedded import LOGIN, EmbeddedPostgres
from prodsprints.store.migrate import migrate


@dataclass(frozen=True)
class Scratch:
    """What a benchmark works on."""

    settings: Settings
    postgres: EmbeddedPostgres
    db: Database

    def tenant(self, name: str = "") -> UUID:
        """A new tenant."""
        with self.db.dispatch() as connection:
            named = name or f"t-{uuid4().hex[:12]}"
            row = connection.execute("insert into tenants (name) values (%s) returning id", [named])
            return UUID(str(one(row.fetchone())["id"]))


@contextmanager
def scratch() -> Iterator[Scratch]:
    """Start it, and leave nothing behind."""
    # Everybody may pass it: as root, PostgreSQL and released applications run under users of their own.
    home = Path(tempfile.mkdtemp(prefix="prodsprints-bench-"))
    home.chmod(0o755)
    settings = replace(Settings.from_environment({}), home=home, node="bench")
    postgres = EmbeddedPostgres(settings)
    try:
        postgres.start()
        migrate(postgres.admin_address(), login_role=LOGIN)
        db = Database(postgres.address(), patience_seconds=10)
        try:
            yield Scratch(settings, postgres, db)
        finally:
            db.close()
    finally:
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)
