"""Emergency contacts: private, and tested by a code that only who is reached can read back."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from prodsprints.kernel.clock import now
from prodsprints.kernel.errors import UsageError
from prodsprints.register import contacts
from prodsprints.register.contacts import Contact
from prodsprints.register.errors import ContactTestError, UnknownRoleError
from prodsprints.store.database import Database


@pytest.fixture
def ada(database: Database, tenant: UUID) -> Contact:
    return contacts.put(database, tenant, role="security", name="Ada Lovelace", reach="ada@example.org")


def test_a_contact_who_reads_the_code_back_is_tested(database: Database, tenant: UUID, ada: Contact) -> None:
    assert ada.is_overdue(now())
    test = contacts.start_test(database, tenant, "security")
    spoken = f" {test.code[:5].lower()} - {test.code[5:]} "
    tested = contacts.finish_test(database, tenant, "security", spoken)
    assert tested.tested_at is not None
    assert not tested.is_overdue(now())
    assert tested.is_overdue(now() + timedelta(days=91))


def test_a_code_is_good_for_one_use(database: Database, tenant: UUID, ada: Contact) -> None:
    test = contacts.start_test(database, tenant, "security")
    contacts.finish_test(database, tenant, "security", test.code)
    with pytest.raises(ContactTestError, match="No test of Security Team is under way"):
        contacts.finish_test(database, tenant, "security", test.code)


def test_guessing_ends_after_five_attempts_even_with_the_right_code(
    database: Database, tenant: UUID, ada: Contact
) -> None:
    test = contacts.start_test(database, tenant, "security")
    for _ in range(5):
        with pytest.raises(ContactTestError, match="not the code"):
            contacts.finish_test(database, tenant, "security", "2222222222")
    with pytest.raises(ContactTestError, match="No test"):
        contacts.finish_test(database, tenant, "security", test.code)


def test_an_expired_code_is_refused(database: Database, tenant: UUID, ada: Contact) -> None:
    test = contacts.start_test(database, tenant, "security")
    with database.tenant(tenant) as connection:
        connection.execute("update contact_tests set expires_at = now() - interval '1 second'")
    with pytest.raises(ContactTestError):
        contacts.finish_test(database, tenant, "security", test.code)


def test_a_new_test_ends_the_one_before(database: Database, tenant: UUID, ada: Contact) -> None:
    first, second = (contacts.start_test(database, tenant, "security") for _ in range(2))
    with pytest.raises(ContactTestError):
        contacts.finish_test(database, tenant, "security", first.code)
    assert contacts.finish_test(database, tenant, "security", second.code).tested_at is not None


def test_no_code_is_stored(database: Database, tenant: UUID, ada: Contact) -> None:
    test = contacts.start_test(database, tenant, "security")
    with database.tenant(tenant) as connection:
        [row] = connection.execute("select * from contact_tests").fetchall()
    assert test.code not in str(row) and test.code.encode() not in bytes(row["digest"])


def test_another_name_or_address_is_as_good_as_untested(database: Database, tenant: UUID, ada: Contact) -> None:
    contacts.finish_test(database, tenant, "security", contacts.start_test(database, tenant, "security").code)
    same = contacts.put(database, tenant, role="security", name="Ada Lovelace", reach="ada@example.org")
    assert same.tested_at is not None
    pending = contacts.start_test(database, tenant, "security")
    moved = contacts.put(database, tenant, role="security", name="Ada Lovelace", reach="ada@example.net")
    assert moved.tested_at is None
    with pytest.raises(ContactTestError):
        contacts.finish_test(database, tenant, "security", pending.code)


def test_tests_cannot_be_begun_without_end(database: Database, tenant: UUID, ada: Contact) -> None:
    for _ in range(20):
        contacts.start_test(database, tenant, "security")
    with pytest.raises(ContactTestError, match="within a day"):
        contacts.start_test(database, tenant, "security")


def test_the_masked_view_names_nobody_and_lists_who_is_missing_or_untested(
    database: Database, tenant: UUID, ada: Contact
) -> None:
    contacts.put(database, tenant, role="legal", name="Bob", reach="+49 30 1234567")
    known = contacts.contacts(database, tenant)
    shown = {one.role: one for one in contacts.masked(known, now())}
    assert list(shown) == list(contacts.ROLES)
    assert (shown["security"].reach, shown["legal"].reach, shown["platform"].is_there) == ("a…@…", "…67", False)
    assert not any(secret in str(shown) for secret in ("Ada", "Bob", "example", "1234"))
    assert contacts.overdue(known, now()) == list(contacts.ROLES)


@pytest.mark.parametrize("call", [contacts.start_test, contacts.remove])
def test_a_role_that_there_is_not_is_refused_with_those_there_are(
    database: Database, tenant: UUID, call: object
) -> None:
    with pytest.raises(UnknownRoleError, match="did you mean `security`"):
        call(database, tenant, "securty")  # type: ignore[operator]


def test_nobody_can_be_tested_where_nobody_is_kept(database: Database, tenant: UUID) -> None:
    with pytest.raises(ContactTestError):
        contacts.start_test(database, tenant, "legal")


@pytest.mark.parametrize(("name", "reach"), [("", "a@b.c"), ("Ada", ""), ("Ada", "x" * 255), ("A\x07", "a@b.c")])
def test_a_contact_without_name_or_address_is_refused(database: Database, tenant: UUID, name: str, reach: str) -> None:
    with pytest.raises(UsageError):
        contacts.put(database, tenant, role="legal", name=name, reach=reach)


def test_contacts_stay_with_their_tenant(database: Database, tenant: UUID, other_tenant: UUID, ada: Contact) -> None:
    test = contacts.start_test(database, tenant, "security")
    assert contacts.contacts(database, other_tenant) == []
    with pytest.raises(ContactTestError):
        contacts.finish_test(database, other_tenant, "security", test.code)
    contacts.remove(database, other_tenant, "security")
    assert contacts.contacts(database, tenant) == [ada]
    contacts.remove(database, tenant, "security")
    assert contacts.contacts(database, tenant) == []
