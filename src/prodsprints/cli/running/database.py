"""The platform's PostgreSQL, embedded or the user's own: reached, at this code's schema, and kept running."""

from __future__ import annotations

import getpass
import logging
import threading
from dataclasses import replace
from uuid import UUID

import psycopg

from prodsprints.controls.data_protection import isolation
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.settings import Settings
from prodsprints.store import embedded
from prodsprints.store.address import Address
from prodsprints.store.database import Database, one
from prodsprints.store.errors import DatabaseUnavailableError, reason

_log = logging.getLogger(__name__)

_WATCH_SECONDS = 0.1


def address(settings: Settings) -> Address:
    """Where this platform's database is."""
    if settings.database_url is not None:
        return Address.parse(settings.database_url)
    return embedded.EmbeddedPostgres(settings).address()


def with_admin(settings: Settings) -> Settings:
    """The settings with a role that may create the applications' databases; the embedded server has one of its own."""
    if settings.database_url is not None or settings.admin_database_url is not None:
        return settings
    return replace(settings, admin_database_url=embedded.EmbeddedPostgres(settings).admin_address().conninfo)


def bring_up_to_date(settings: Settings) -> None:
    """Migrate the schema to this code's revision, and refuse one that would not keep tenants apart.

    Raises DatabaseVersionError, DatabaseUnavailableError, NotIsolatedError.
    """
    import sqlalchemy.exc

    from prodsprints.store.migrate import migrate

    if settings.database_url is None:
        given = embedded.EmbeddedPostgres(settings).admin_address()
        migrate(given, login_role=embedded.LOGIN)
    else:
        given = address(settings)
        login = given.parts().get("user")
        if settings.admin_database_url is not None:
            given = Address.parse(settings.admin_database_url, variable="PRODSPRINTS_ADMIN_DATABASE_URL")
        try:
            migrate(given, login_role=login or getpass.getuser())
        except sqlalchemy.exc.DBAPIError as error:
            raise _refused(given, error.orig) from None
    with psycopg.connect(given.conninfo) as connection:
        isolation.require(connection)


def ensure_access(settings: Settings) -> None:
    """Have the tenant `default`, and this user's token for it below the home."""
    from prodsprints.web import tokens

    db = Database(address(settings), max_connections=1, patience_seconds=20)
    try:
        tokens.ensure_api_token(db, settings, _default_tenant(db), actor=getpass.getuser())
    finally:
        db.close()


class Keeper:
    """Keeps the embedded PostgreSQL running: notices within a tenth of a second that it is gone, and starts it."""

    def __init__(self, settings: Settings) -> None:
        self._server = embedded.EmbeddedPostgres(settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="postgres", daemon=True)

    def start(self) -> None:
        """Have it running; from then on it is watched."""
        self._server.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching, then stop the server."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._server.stop()

    def _watch(self) -> None:
        while not self._stop.wait(_WATCH_SECONDS):
            if self._server.pid() is None:
                _log.warning("PostgreSQL is gone; starting it again")
                try:
                    self._server.start()
                except ProdSprintsError as error:  # its old processes may need a moment to end
                    _log.warning("%s", error)


def _refused(given: Address, error: BaseException | None) -> DatabaseUnavailableError:
    next_step = "Check that it runs and that PRODSPRINTS_DATABASE_URL is right: docs/how-to/use-your-postgres.md."
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        next_step = (
            "Let that role own the database and create roles, or set PRODSPRINTS_ADMIN_DATABASE_URL to one that may:"
            " docs/how-to/use-your-postgres.md."
        )
    return DatabaseUnavailableError(
        f"The PostgreSQL at {given} cannot be used.",
        why=reason(error) if isinstance(error, psycopg.Error) else "",
        next_step=next_step,
    )


def _default_tenant(db: Database) -> UUID:
    with db.dispatch() as connection:
        connection.execute("insert into tenants (name) values ('default') on conflict (name) do nothing")
        row = one(connection.execute("select id from tenants where name = 'default'").fetchone())
    return UUID(str(row["id"]))
