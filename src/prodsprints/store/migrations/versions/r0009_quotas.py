"""Quotas: use against limit per provider and account, forecasts and drafted increase requests.

Revision ID: 0009
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the SQL beside this file; there is no way back but a backup."""
    op.execute((Path(__file__).parent / "0009_quotas.sql").read_text(encoding="utf-8"))
