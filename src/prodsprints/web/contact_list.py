"""The emergency contacts as a caller may see them: with names for who is logged in, and masked for who reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from prodsprints.kernel import clock
from prodsprints.kernel.validation import nearest
from prodsprints.register import contacts
from prodsprints.register.errors import UnknownRoleError
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site


@dataclass(frozen=True)
class Shown:
    """One role and who is called for it: `of` says what for, `name` is None where it is not to be seen."""

    role: str
    title: str
    of: str
    is_there: bool
    name: str | None
    reach: str
    tested_at: datetime | None
    is_overdue: bool


def shown(here: Site, caller: Caller) -> list[Shown]:
    """Every role, in the order in which they are called."""
    known = contacts.contacts(here.db, caller.tenant_id)
    by_role = {one.role: one for one in known} if caller.means != "none" else {}
    found = []
    for one in contacts.masked(known, clock.now()):
        seen = by_role.get(one.role)
        name, reach = (seen.name, seen.reach) if seen else (None, one.reach)
        of = contacts.ROLES[one.role][1]
        found.append(Shown(one.role, one.title, of, one.is_there, name, reach, one.tested_at, one.is_overdue))
    return found


def one(here: Site, caller: Caller, role: str) -> Shown:
    """One of them. Raises UnknownRoleError."""
    found = next((one for one in shown(here, caller) if one.role == role), None)
    if found is None:
        raise UnknownRoleError(
            f"There is no role {role[:40]!r}{nearest(role, contacts.ROLES) or '.'}",
            next_step=f"Give one of {', '.join(contacts.ROLES)}.",
        )
    return found
