"""The register's own tables, each with every verb from the wrong tenant: nothing is seen, nothing is changed."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from prodsprints import incidents
from prodsprints.kernel.clock import now
from prodsprints.ledger.log import Ledger
from prodsprints.register import contacts, documents, escalation, reviews
from prodsprints.register.acceptances import accept
from prodsprints.register.agenda import Agenda
from prodsprints.register.attestations import attest
from prodsprints.register.model import Cadence
from prodsprints.register.register import Register
from prodsprints.store.database import Database

TABLES = (
    "risk_documents", "attestations", "acceptances", "incidents", "incident_actions", "risk_reports",
    "risk_report_steps", "reviews", "contacts", "contact_tests",
)  # fmt: skip
SMALL = "#### R001: Limits\nLevel: high\nProbability: 3\nMitigation:\n- Done: x\n"


@pytest.fixture
def full_tenant(database: Database, ledger: Ledger, register: Register) -> UUID:
    """A tenant with a row in every table."""
    tenant, until = ledger.tenant_id, now() + timedelta(days=1)
    here = {"id": uuid4(), "register": register, "environment": "demo", "expires_at": until, "actor": "ada"}
    documents.import_document(database, ledger, id=uuid4(), markdown=SMALL, actor="ada")
    attest(database, ledger, row="S001.5", evidence="x", **here)  # type: ignore[arg-type]
    accept(database, ledger, risk="R001", reason="x", **here)  # type: ignore[arg-type]
    incidents.declare(
        database, ledger, id=uuid4(), known={"R001": ()}, risk="R001", environment="demo", title="x",
        what_happened="x", actor="ada",
    )  # fmt: skip
    escalation.report(database, tenant, id=uuid4(), title="x", description="x", actor="ada")
    reviews.record(
        database, ledger, id=uuid4(), kind=Cadence.WEEKLY, due=None, attendees="x", decisions="x",
        agenda=Agenda(Cadence.WEEKLY, ()), actor="ada",
    )  # fmt: skip
    contacts.put(database, tenant, role="legal", name="x", reach="a@b")
    contacts.start_test(database, tenant, "legal")
    return tenant


def test_no_verb_of_another_tenant_reaches_a_row(database: Database, full_tenant: UUID, other_tenant: UUID) -> None:
    for table in TABLES:
        with database.tenant(other_tenant) as connection:
            for verb in (f"select from {table}", f"update {table} set tenant_id = tenant_id", f"delete from {table}"):
                assert connection.execute(verb.encode()).rowcount == 0, verb
        with database.tenant(full_tenant) as connection:
            assert connection.execute(f"select from {table}".encode()).rowcount >= 1, table


@pytest.mark.parametrize("table", TABLES)
def test_no_row_can_be_given_to_another_tenant(
    database: Database, full_tenant: UUID, other_tenant: UUID, table: str
) -> None:
    with pytest.raises(psycopg.Error), database.tenant(full_tenant) as connection:
        connection.execute(f"update {table} set tenant_id = %s".encode(), [other_tenant])
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.tenant(other_tenant) as connection:
        connection.execute(f"insert into {table} (tenant_id) values (%s)".encode(), [full_tenant])


def test_without_a_tenant_nothing_is_seen(database: Database, full_tenant: UUID) -> None:
    with database.tenant(full_tenant) as connection:
        connection.execute("select set_config('app.tenant', '', true)")
        for table in TABLES:
            assert connection.execute(f"select from {table}".encode()).rowcount == 0, table


def test_an_action_cannot_be_put_on_another_tenants_incident(
    database: Database, full_tenant: UUID, other_tenant: UUID
) -> None:
    [incident] = incidents.incidents(database, full_tenant)
    with pytest.raises(psycopg.errors.ForeignKeyViolation), database.tenant(other_tenant) as connection:
        connection.execute(
            "insert into incident_actions (id, incident_id, action, person, outcome, statement)"
            " values (gen_random_uuid(), %s, 'closed', gen_random_uuid(), 'x', 'x')",
            [incident.id],
        )
