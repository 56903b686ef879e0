"""Who is called in an emergency: private, and tested, since an address that nobody answers at is none."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from prodsprints.incidents import typed
from prodsprints.kernel.clock import now
from prodsprints.kernel.validation import nearest
from prodsprints.register.errors import ContactTestError, UnknownRoleError
from prodsprints.store.database import Database, one, patient

ROLES = {
    "platform": ("Platform Engineering Lead", "first to be called about anything technical"),
    "security": ("Security Team", "answers security incidents"),
    "legal": ("Legal Counsel", "rules and duties to report"),
    "executive": ("Executive Team", "the business, and what customers are told"),
    "partners": ("External Partners", "vendors' support and emergency services"),
}
TEST_EVERY = timedelta(days=90)
_TEST_LASTS = timedelta(hours=24)
_MOST_ATTEMPTS = 5
_MOST_TESTS_PER_DAY = 20
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing that is misheard or misread for another
_LENGTH = 10


@dataclass(frozen=True)
class Contact:
    """Who is reached where, for one role."""

    role: str
    name: str
    reach: str
    updated_at: datetime
    tested_at: datetime | None

    def is_overdue(self, at: datetime) -> bool:
        """Was it never tested, or too long ago?"""
        return self.tested_at is None or at - self.tested_at > TEST_EVERY


@dataclass(frozen=True)
class Masked:
    """What everybody may know of a role's contact: that there is one, and when it was reached last."""

    role: str
    title: str
    reach: str
    is_there: bool
    tested_at: datetime | None
    is_overdue: bool


@dataclass(frozen=True)
class StartedTest:
    """A test under way; `code` is shown this once, to be sent to the contact, who reads it back."""

    id: UUID
    role: str
    code: str
    expires_at: datetime


@patient
def contacts(db: Database, tenant_id: UUID) -> list[Contact]:
    """Everybody, with names and addresses: for people who are logged in, and for no export."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute("select role, name, reach, updated_at, tested_at from contacts").fetchall()
    return sorted((Contact(**row) for row in rows), key=lambda one: list(ROLES).index(one.role))


def masked(contacts: Iterable[Contact], at: datetime) -> list[Masked]:
    """Every role, without a name and with an address that cannot be used."""
    known = {one.role: one for one in contacts}
    found = []
    for role, (title, _) in ROLES.items():
        one = known.get(role)
        reach = _masked(one.reach) if one else ""
        tested = one.tested_at if one else None
        found.append(Masked(role, title, reach, one is not None, tested, one is None or one.is_overdue(at)))
    return found


def overdue(contacts: Iterable[Contact], at: datetime) -> list[str]:
    """The roles that nobody is known for, or whose contact was not tested for too long."""
    return [one.role for one in masked(contacts, at) if one.is_overdue]


def put(db: Database, tenant_id: UUID, *, role: str, name: str, reach: str) -> Contact:
    """Set who is reached where. Another name or address is as good as untested. Raises UnknownRoleError, UsageError."""
    said = [_known(role), typed.line(name, "name"), typed.line(reach, "address or number", 254)]
    with db.tenant(tenant_id) as connection:
        row = one(
            connection.execute(
                """
                insert into contacts as old (role, name, reach) values (%s, %s, %s)
                on conflict (tenant_id, role) do update set
                  name = excluded.name, reach = excluded.reach, updated_at = clock_timestamp(),
                  tested_at = case when (old.name, old.reach) = (excluded.name, excluded.reach) then old.tested_at end
                returning role, name, reach, updated_at, tested_at
                """,
                said,
            ).fetchone()
        )
        # a code that was sent to the old address says nothing of the new one
        connection.execute(
            "update contact_tests set used_at = now() where role = %s and used_at is null and %s",
            [role, row["tested_at"] is None],
        )
    return Contact(**row)


def remove(db: Database, tenant_id: UUID, role: str) -> None:
    """Forget the contact of a role. Raises UnknownRoleError."""
    with db.tenant(tenant_id) as connection:
        connection.execute("delete from contacts where role = %s", [_known(role)])


def start_test(db: Database, tenant_id: UUID, role: str) -> StartedTest:
    """Begin a test: the code goes to the contact by the address that is kept here, and comes back by word of mouth.

    Raises UnknownRoleError, ContactTestError when there is nobody to test, or too many tests were begun today.
    """
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    test = StartedTest(uuid4(), _known(role), code, now() + _TEST_LASTS)
    with db.tenant(tenant_id) as connection:
        if connection.execute("select from contacts where role = %s for update", [role]).rowcount == 0:
            raise ContactTestError(f"Nobody is kept for {ROLES[role][0]}.", next_step="Set the contact first.")
        count = one(
            connection.execute(
                "select count(*) as n from contact_tests where role = %s and created_at > now() - interval '1 day'",
                [role],
            ).fetchone()
        )
        if count["n"] >= _MOST_TESTS_PER_DAY:
            raise ContactTestError(
                f"{_MOST_TESTS_PER_DAY} tests of {ROLES[role][0]} were begun within a day.", next_step="Go on tomorrow."
            )
        connection.execute("update contact_tests set used_at = now() where role = %s and used_at is null", [role])
        connection.execute(
            "insert into contact_tests (id, role, digest, expires_at) values (%s, %s, %s, %s)",
            [test.id, role, _digest(test.id, code), test.expires_at],
        )
    return test


def finish_test(db: Database, tenant_id: UUID, role: str, code: str) -> Contact:
    """The contact read `code` back: reachable, as of now.

    Raises ContactTestError when it is another code, expired, used, or was guessed at too often.
    """
    with db.tenant(tenant_id) as connection:
        test = connection.execute(
            """
            update contact_tests set attempts = attempts + 1
            where id = (
              select id from contact_tests where role = %s and used_at is null order by created_at desc limit 1
            )
            returning id, digest, attempts, expires_at
            """,
            [_known(role)],
        ).fetchone()
        usable = test is not None and test["attempts"] <= _MOST_ATTEMPTS and test["expires_at"] > now()
        given = "".join(letter for letter in code.upper() if letter in _ALPHABET)[:_LENGTH]
        if test is not None and usable and hmac.compare_digest(bytes(test["digest"]), _digest(test["id"], given)):
            connection.execute("update contact_tests set used_at = now() where id = %s", [test["id"]])
            tested = connection.execute(
                """
                update contacts set tested_at = clock_timestamp() where role = %s
                returning role, name, reach, updated_at, tested_at
                """,
                [role],
            )
            return Contact(**one(tested.fetchone()))
    # raised after the commit: the attempt has to be counted
    if usable:
        raise ContactTestError("That is not the code that was sent.", next_step="Ask the contact to read it again.")
    raise ContactTestError(
        f"No test of {ROLES[role][0]} is under way.",
        why=f"A code is good for one use, {_MOST_ATTEMPTS} attempts and a day.",
        next_step="Begin another test.",
    )


def _known(role: str) -> str:
    if role not in ROLES:
        raise UnknownRoleError(
            f"There is no role {role[:40]!r}{nearest(role, ROLES) or '.'}", next_step=f"Give one of {', '.join(ROLES)}."
        )
    return role


def _digest(id: UUID, code: str) -> bytes:
    return hashlib.sha256(id.bytes + code.encode()).digest()


def _masked(reach: str) -> str:
    name, at, _ = reach.partition("@")
    return f"{name[:1]}…@…" if at else f"…{reach[-2:]}"
