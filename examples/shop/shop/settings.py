"""What the shop takes from its environment."""

import os
import sys


def database_url() -> str:
    """DATABASE_URL, or an end with a message that says what to set."""
    url = os.environ.get("DATABASE_URL", "").replace("postgres://", "postgresql://", 1)
    if not url.startswith("postgresql://"):
        sys.exit("The shop keeps its orders in PostgreSQL: set DATABASE_URL to postgresql://user:password@host/database.")
    return url
