"""Dependencies: what each process's guards last saw, for the page and for whoever freezes a key by hand.

Revision ID: 0011
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the SQL beside this file; there is no way back but a backup."""
    op.execute((Path(__file__).parent / "0011_dependencies.sql").read_text(encoding="utf-8"))
