"""The signing keys of this home together with the log that they speak for: for what no API may reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prodsprints.cli.running import database
from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.store import migrate
from prodsprints.store.database import Database


@contextmanager
def keyring_of(tenant: str) -> Iterator[tuple[Database, UUID, Keyring]]:
    """The database, the tenant's id and the keyring. Raises UsageError for an unknown tenant."""
    settings = Settings.from_environment()
    address = database.address(settings)
    migrate.check(address)
    db = Database(address, max_connections=2)
    try:
        with db.dispatch() as connection:
            row = connection.execute("select id from tenants where name = %s", [tenant]).fetchone()
        if row is None:
            raise UsageError(
                f"There is no tenant {tenant[:60]!r}.", next_step="Leave --tenant out for the default one."
            )
        yield db, row["id"], Keyring.open(settings.home)
    finally:
        db.close()
