"""Status: what the health monitor saw of each integration, for the public page and its feed.

Revision ID: 0008
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the SQL beside this file; there is no way back but a backup."""
    op.execute((Path(__file__).parent / "0008_status.sql").read_text(encoding="utf-8"))
