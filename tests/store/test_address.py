"""Addresses: what libpq reads, libpq, SQLAlchemy and the engine read alike."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy

from prodsprints.kernel.errors import UsageError
from prodsprints.store.address import Address
from prodsprints.store.embedded import EmbeddedPostgres


@pytest.mark.parametrize(
    "text", ["mysql://me@host/db", "postgresql://me@host:port/db", "postgresql://me@host", "host="]
)
def test_what_is_no_address_of_a_database_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="PRODSPRINTS_DATABASE_URL"):
        Address.parse(text)


def test_the_variable_that_is_wrong_is_named() -> None:
    with pytest.raises(UsageError, match="PRODSPRINTS_ADMIN_DATABASE_URL"):
        Address.parse("nonsense", variable="PRODSPRINTS_ADMIN_DATABASE_URL")


def test_of_several_hosts_the_one_that_answers_is_used(postgres: EmbeddedPostgres) -> None:
    parts = postgres.address().parts() | {
        "host": "127.0.0.1,127.0.0.1",
        "port": f"1,{postgres.address().parts()['port']}",
    }
    address = Address.parse(psycopg.conninfo.make_conninfo(**parts))
    text = address.sqlalchemy_url().render_as_string(hide_password=False)
    with sqlalchemy.create_engine(text).connect() as connection:
        assert connection.execute(sqlalchemy.text("select current_user")).scalar() == parts["user"]


def test_no_text_form_has_the_password() -> None:
    address = Address.parse("postgresql://me:geheim99@host:5432/db")
    assert "geheim99" not in f"{address} {address!r} {address.sqlalchemy_url()}"
