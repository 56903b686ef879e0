"""Notifications: the transactional outbox and what became of each message.

Revision ID: 0007
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the SQL beside this file; there is no way back but a backup."""
    op.execute((Path(__file__).parent / "0007_notify.sql").read_text(encoding="utf-8"))
