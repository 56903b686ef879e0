"""Where a PostgreSQL is and as whom we speak to it; the password stays in libpq's password file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from prodsprints.kernel.errors import UsageError

if TYPE_CHECKING:
    import sqlalchemy


@dataclass(frozen=True)
class Address:
    """A libpq connection string (or URL). Its text form hides the password."""

    conninfo: str

    @staticmethod
    def parse(text: str, *, variable: str = "PRODSPRINTS_DATABASE_URL") -> Address:
        """Accept what libpq accepts and what names a database. Raises UsageError, without the text, for anything else.

        A password with an unescaped "/" or "@" would be read as port, host or database, and be printed as such.
        """
        try:
            parts = conninfo_to_dict(text)
        except psycopg.ProgrammingError:
            raise _unreadable(variable) from None
        ports = str(parts.get("port") or "5432").split(",")
        if not all(port.isdecimal() for port in ports) or "@" in f"{parts.get('host', '')}{parts.get('dbname', '')}":
            raise _unreadable(variable)
        if not parts.get("dbname"):
            raise UsageError(
                f"{variable} names no database.",
                next_step="Add it at the end: postgresql://user@host:5432/database.",
            )
        return Address(text)

    def parts(self) -> dict[str, str]:
        """The connection string's parameters by libpq's names."""
        return {key: str(value) for key, value in conninfo_to_dict(self.conninfo).items() if value is not None}

    def with_database(self, name: str) -> Address:
        """The same server and role, another database."""
        return Address(make_conninfo(self.conninfo, dbname=name))

    def sqlalchemy_url(self) -> sqlalchemy.URL:
        """The same address as SQLAlchemy's psycopg dialect wants it (for Alembic and DBOS)."""
        from sqlalchemy import URL

        parts = self.parts()
        return URL.create(
            "postgresql+psycopg",
            username=parts.pop("user", None),
            password=parts.pop("password", None),
            database=parts.pop("dbname", None),
            query=parts,  # host and port too: only there they may be several, or a directory of sockets
        )

    def __str__(self) -> str:
        parts = self.parts()
        host, port = parts.get("host", "localhost"), parts.get("port", "5432")
        return f"{parts.get('user', '')}@{host}:{port}/{parts.get('dbname', '')}"

    def __repr__(self) -> str:
        return f"Address({self})"


def _unreadable(variable: str) -> UsageError:
    return UsageError(
        f"{variable} is not a PostgreSQL address.",
        next_step="Set it like postgresql://user@host:5432/database, with the password in ~/.pgpass"
        " (within an address, / is written %2F and @ %40).",
    )
