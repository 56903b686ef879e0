"""What the fleet's store itself knows of providers, so that a freeze by hand shows before any process tells of it."""

from __future__ import annotations

from collections.abc import Collection

from prodsprints.controls.providers.dependencies.dependency import Common
from prodsprints.guard import Circuit
from prodsprints.store.database import Database, patient


@patient
def read(db: Database, providers: Collection[str], buckets: Collection[str]) -> Common:
    """Of these providers and these of their buckets; what nobody has shared yet is not in it."""
    with db.dispatch() as connection:
        cold = connection.execute(
            """
            select scope, extract(epoch from frozen_until - clock_timestamp())::float8 as seconds
            from fleet_buckets where scope = any(%s) and frozen_until > clock_timestamp()
            """,
            [list(buckets)],
        ).fetchall()
        circuits = connection.execute(
            """
            select name, open, probe_until > clock_timestamp() as probing from fleet_breakers where name = any(%s)
            """,
            [list(providers)],
        ).fetchall()
        budgets = connection.execute(
            "select name, tokens from fleet_budgets where name = any(%s)", [list(providers)]
        ).fetchall()
    return Common(
        frozen_seconds={row["scope"]: row["seconds"] for row in cold},
        circuits={row["name"]: _circuit(row["open"], row["probing"]) for row in circuits},
        retry_tokens={row["name"]: row["tokens"] for row in budgets},
    )


def _circuit(is_open: bool, is_probing: bool) -> Circuit:
    if not is_open:
        return Circuit.CLOSED
    return Circuit.HALF_OPEN if is_probing else Circuit.OPEN
