"""The schema's version: bring the database up to this code, or say why that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prodsprints.store.address import Address
from prodsprints.store.errors import DatabaseUnavailableError, DatabaseVersionError, reason

if TYPE_CHECKING:
    import sqlalchemy

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def migrate(admin: Address, *, login_role: str) -> str:
    """Create or upgrade our schema as `admin`, and let `login_role` act in our roles. Returns the revision.

    Raises DatabaseVersionError when the database was migrated by a newer version of this code: we never downgrade.
    """
    import sqlalchemy
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    engine = sqlalchemy.create_engine(
        admin.sqlalchemy_url(), poolclass=sqlalchemy.pool.NullPool, connect_args={"connect_timeout": 5}
    )
    with engine.begin() as connection:
        found = _revision(connection)
        known = {entry.revision for entry in script.walk_revisions()}
        if found is not None and found not in known:
            raise _newer(found, str(head))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        _grant(connection, login_role)
    return str(head)


def check(address: Address) -> None:
    """Refuse a database whose schema is not exactly this code's; for processes that may not migrate.

    Raises DatabaseVersionError, DatabaseUnavailableError. Reads with psycopg only: Alembic would cost a page's process
    25 MB for its whole life.
    """
    import psycopg

    head = max(path.stem[1:5] for path in _VERSIONS.glob("r[0-9]*.py"))
    try:
        with psycopg.connect(address.conninfo, connect_timeout=5) as connection:
            row = connection.execute("select max(version_num) from alembic_version").fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        row = None
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(
            f"The PostgreSQL at {address} cannot be used.",
            why=reason(error),
            next_step="Check that it runs and that the address is right; `prodsprints up` starts the embedded one.",
        ) from None
    found = row[0] if row else None
    if found == head:
        return
    if found is not None and found > head:
        raise _newer(found, head)
    raise DatabaseVersionError(
        f"The database is at schema revision {found or 'none'}; this version of ProdSprints needs {head}.",
        next_step="Run `prodsprints up` of this version once against it: it migrates.",
    )


def _revision(connection: sqlalchemy.Connection) -> str | None:
    """The schema revision that `connection`'s database is at, or None for a database without our schema."""
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def _grant(connection: sqlalchemy.Connection, login_role: str) -> None:
    from sqlalchemy import text

    quoted = connection.dialect.identifier_preparer.quote(login_role)
    version = connection.dialect.server_version_info
    # The login may become one of our roles, and has none of their rights until it does. Before 16 that cannot be said;
    # there it inherits their rights to tables, and the policies, which ask for the role itself, show it no row.
    inherit = " with inherit false" if version and version >= (16,) else ""
    for statement in (
        f"grant prodsprints_tenant, prodsprints_dispatch, prodsprints_auth, prodsprints_sequencer to {quoted}{inherit}",
        "create schema if not exists dbos",
        f"grant usage, create on schema dbos to {quoted}",
        f"grant select on alembic_version to {quoted}",
    ):
        connection.execute(text(statement))


def _newer(found: str, head: str) -> DatabaseVersionError:
    return DatabaseVersionError(
        f"The database is at schema revision {found}, which this version of ProdSprints does not know.",
        why=f"It was used by a newer version; this one knows revisions up to {head}.",
        next_step="Update ProdSprints to that version, or point it at another database.",
    )
