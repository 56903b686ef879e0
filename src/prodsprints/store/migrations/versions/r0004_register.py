"""The register: documents, snapshots, incidents, reviews, reports, contacts.

Revision ID: 0004
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the SQL beside this file; there is no way back but a backup."""
    op.execute((Path(__file__).parent / "0004_register.sql").read_text(encoding="utf-8"))
