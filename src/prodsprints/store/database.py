"""Transactions: each acts in one role, for one tenant or for none, and says clearly when PostgreSQL is not there."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Concatenate, LiteralString, ParamSpec, TypeVar
from uuid import UUID

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from prodsprints.store.address import Address
from prodsprints.store.errors import DatabaseUnavailableError, reason

P = ParamSpec("P")
T = TypeVar("T")
Connection = psycopg.Connection[DictRow]

_RETRY_EVERY_SECONDS = 0.1


class Database:
    """A pool of connections to our database.

    `patience_seconds` is how long `patient` functions try again while PostgreSQL is away: short for a page that
    somebody waits for, long for a worker in the middle of a release.
    """

    def __init__(self, address: Address, *, max_connections: int = 8, patience_seconds: float = 2.0) -> None:
        self.address = address
        self.patience_seconds = patience_seconds
        self.stopping = threading.Event()
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            address.conninfo,
            connection_class=psycopg.Connection[DictRow],
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "connect_timeout": 5,
                "application_name": "prodsprints",
            },
            min_size=1,
            max_size=max_connections,
            timeout=min(5.0, max(1.0, patience_seconds)),
            open=False,
        )
        self._pool.open()

    @contextmanager
    def tenant(self, tenant_id: UUID) -> Iterator[Connection]:
        """One transaction for one tenant: row-level security shows and accepts rows of that tenant only."""
        with self._connection() as connection, connection.transaction():
            connection.execute(
                "select set_config('role', 'prodsprints_tenant', true), set_config('app.tenant', %s, true)",
                [str(tenant_id)],
            )
            yield connection

    def once(self, statement: LiteralString, parameters: Sequence[Any]) -> DictRow | None:
        """One statement that is its own transaction and chooses its own role: a call of one of our functions."""
        with self._connection() as connection:
            return connection.execute(statement, parameters).fetchone()

    @contextmanager
    def dispatch(self, *, durable: bool = True) -> Iterator[Connection]:
        """One transaction in the workers' own view: which releases wait where, leases, heartbeats; no content.

        Without `durable` the commit does not wait for the disk: for what may be lost in a crash of the server.
        """
        with self._connection() as connection, connection.transaction():
            connection.execute(
                "select set_config('role', 'prodsprints_dispatch', true), set_config('synchronous_commit', %s, true)",
                ["on" if durable else "off"],
            )
            yield connection

    @contextmanager
    def auth(self) -> Iterator[Connection]:
        """One transaction that may only look up and spend tokens, before a tenant is known."""
        with self._connection() as connection, connection.transaction():
            connection.execute("select set_config('role', 'prodsprints_auth', true)")
            yield connection

    @contextmanager
    def sequencer(self) -> Iterator[Connection]:
        """One transaction that may give statements their place in the log; sees digests, no content."""
        with self._connection() as connection, connection.transaction():
            connection.execute("select set_config('role', 'prodsprints_sequencer', true)")
            yield connection

    def close(self) -> None:
        """Give up waiting and close all connections."""
        self.stopping.set()
        self._pool.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            if isinstance(error, psycopg.errors.QueryCanceled):
                raise
            raise DatabaseUnavailableError(
                f"PostgreSQL at {self.address} does not answer.",
                why="No connection came about in time." if isinstance(error, PoolTimeout) else f"{reason(error)}.",
                next_step="If it is the embedded one, `prodsprints up` restarts it by itself; else check that it runs.",
            ) from error


def patient(function: Callable[Concatenate[Database, P], T]) -> Callable[Concatenate[Database, P], T]:
    """Try `function` again while PostgreSQL is away, up to the database's patience.

    For idempotent functions only: a lost answer to COMMIT looks like a lost transaction.
    """

    @functools.wraps(function)
    def persistent(db: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        deadline = time.monotonic() + db.patience_seconds
        while True:
            try:
                return function(db, *args, **kwargs)
            except DatabaseUnavailableError:
                if time.monotonic() >= deadline or db.stopping.wait(_RETRY_EVERY_SECONDS):
                    raise

    return persistent


def one(row: DictRow | None) -> dict[str, Any]:
    """The row that must be there; a missing one is a defect of ours."""
    if row is None:
        raise LookupError("a query that always returns a row returned none")
    return row
