"""People in evidence: a reference that means somebody only as long as their name is kept here."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from prodsprints.store.database import Database, one, patient


@patient
def reference(db: Database, tenant_id: UUID, actor: str) -> str:
    """What a statement says in the place of `actor`; the same person is always the same reference."""
    with db.tenant(tenant_id) as connection:
        connection.execute("insert into people (name) values (%s) on conflict (tenant_id, name) do nothing", [actor])
        row = connection.execute("select id from people where name = %s", [actor]).fetchone()
    return str(one(row)["id"])


@patient
def names(db: Database, tenant_id: UUID, refs: Iterable[str]) -> dict[str, str]:
    """The names that are still kept, by reference; an erased or unknown one is not in it."""
    wanted = [str(UUID(one)) for one in refs if _is_uuid(one)]
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(
            "select id, name from people where id = any(%s::uuid[]) and name is not null", [wanted]
        ).fetchall()
    return {str(row["id"]): row["name"] for row in rows}


@patient
def erase(db: Database, tenant_id: UUID, actor: str) -> bool:
    """Forget the name for good; evidence stays whole and no longer says who. True if there was one."""
    with db.tenant(tenant_id) as connection:
        return connection.execute("update people set name = null where name = %s", [actor]).rowcount == 1


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
