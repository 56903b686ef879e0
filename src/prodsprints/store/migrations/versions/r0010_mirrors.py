"""Mirrors: which remote repositories have a local mirror, and how fresh it is.

Revision ID: 0010
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the SQL beside this file; there is no way back but a backup."""
    op.execute((Path(__file__).parent / "0010_mirrors.sql").read_text(encoding="utf-8"))
