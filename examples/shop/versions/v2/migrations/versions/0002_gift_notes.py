"""Orders may carry a gift note; the version before goes on without it."""

from alembic import op
from sqlalchemy import Column, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("orders", Column("gift_note", Text, nullable=True))
