"""The fleet: what all workers of a platform share about a provider (buckets, frozen keys, breakers, retry budgets).

Revision ID: 0006
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the SQL beside this file; there is no way back but a backup."""
    op.execute((Path(__file__).parent / "0006_fleet.sql").read_text(encoding="utf-8"))
