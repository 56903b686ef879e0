"""Runs the migrations against DATABASE_URL."""

from alembic import context
from sqlalchemy import create_engine, pool

from shop.settings import database_url

url = database_url().replace("postgresql://", "postgresql+psycopg://", 1)
engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
