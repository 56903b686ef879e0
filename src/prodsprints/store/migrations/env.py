"""Alembic's entry: one transaction, under an advisory lock, so that two starting machines do not migrate at once."""

from __future__ import annotations

import sqlalchemy
from alembic import context

_LOCK = 5_078_801  # any number of ours; the same on every machine

connection: sqlalchemy.Connection = context.config.attributes["connection"]
connection.execute(sqlalchemy.text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
context.configure(connection=connection, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
