"""The ground: tenants, projects, environments, releases, leases, heartbeats.

Revision ID: 0001
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL beside this file; there is no way back but a backup."""
    op.execute((Path(__file__).parent / "0001_ground.sql").read_text(encoding="utf-8"))
