"""What can go wrong between us and PostgreSQL."""

from __future__ import annotations

import psycopg

from prodsprints.kernel.errors import ExitCode, ProdSprintsError


class DatabaseUnavailableError(ProdSprintsError):
    """PostgreSQL does not answer, or went away in the middle of a transaction."""

    code = "store/database-unavailable"
    http_status = 503


class DatabaseVersionError(ProdSprintsError):
    """The database's schema is older or newer than this code can work with."""

    code = "store/database-version"
    http_status = 503


class EmbeddedPostgresError(ProdSprintsError):
    """The embedded PostgreSQL could not be created or started."""

    code = "store/embedded-postgres"


class LeaseHeldError(ProdSprintsError):
    """Somebody else holds the lease, and is alive."""

    code = "store/lease-held"
    exit_code = ExitCode.LOCKED
    http_status = 423


class FencedError(ProdSprintsError):
    """This worker lost its lease to another one: nothing it does from here on may count."""

    code = "store/fenced"
    exit_code = ExitCode.LOCKED
    http_status = 409


def reason(error: psycopg.Error) -> str:
    """What PostgreSQL or libpq says first, without hints, contexts and the statement."""
    lines = (error.diag.message_primary or str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
