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
    def parse(text: str) -> Address:
        """Accept what libpq accepts. Raises UsageError, without the text, for anything else."""
        try:
            conninfo_to_dict(text)
        except psycopg.ProgrammingError:
            raise UsageError(
                "PRODSPRINTS_DATABASE_URL is not a PostgreSQL address.",
                next_step="Set it like postgresql://user@host:5432/database, with the password in ~/.pgpass.",
            ) from None
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
            host=parts.pop("host", None),
            port=int(port) if (port := parts.pop("port", None)) else None,
            database=parts.pop("dbname", None),
            query=parts,
        )

    def __str__(self) -> str:
        parts = self.parts()
        host, port = parts.get("host", "localhost"), parts.get("port", "5432")
        return f"{parts.get('user', '')}@{host}:{port}/{parts.get('dbname', '')}"

    def __repr__(self) -> str:
        return f"Address({self})"
