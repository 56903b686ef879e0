"""Incidents: declared, linked, closed; signed, so that they count; and nobody else's business."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from prodsprints import incidents
from prodsprints.incidents import Incident
from prodsprints.incidents.errors import IncidentClosedError, IncidentInputError, UnknownIncidentError
from prodsprints.kernel.errors import UsageError
from prodsprints.ledger import people
from prodsprints.ledger.log import Ledger
from prodsprints.register.standing import Standing, fold
from prodsprints.store.database import Database

Declare = Callable[..., Incident]
VARIANTS = {"R001.1": ("storm", "hang"), "R001.2": ()}


def test_an_incident_is_kept_with_its_words_and_who_declared_it(
    database: Database, ledger: Ledger, declare: Declare
) -> None:
    declared = declare(rows=["R001.2", "R001.1"], security=True)
    [listed] = incidents.incidents(database, ledger.tenant_id, environment="demo", risk="R001")
    assert listed == declared == incidents.get(database, ledger.tenant_id, declared.id)
    assert (listed.rows, listed.title, listed.security) == (("R001.1", "R001.2"), "Throttled", True)
    assert listed.is_signed
    told = listed.as_json(people.names(database, ledger.tenant_id, listed.people))
    assert (told["declared_by"], told["closed_at"], told["links"]) == ("wendelin", None, [])


def test_it_contradicts_in_the_fold_that_statuses_come_from(
    database: Database, ledger: Ledger, declare: Declare, sequence: Callable[[], object]
) -> None:
    incident = declare(rows=["R001.1"])
    sequence()
    [heard] = fold(Standing(str(ledger.tenant_id)), ledger.entries()).contradicting("demo")
    assert (heard.id, heard.risk, heard.rows) == (str(incident.id), "R001", ("R001.1",))
    incidents.link(
        database, ledger, incident.id, id=uuid4(), row="R001.1", variant="storm", known=VARIANTS, actor="bob"
    )
    incidents.close(database, ledger, incident.id, id=uuid4(), outcome="Fixed.", actor="bob")
    sequence()
    standing = fold(Standing(str(ledger.tenant_id)), ledger.entries())
    assert len(standing.incidents[str(incident.id)].links) == 1
    assert standing.incidents[str(incident.id)].closed is not None
    assert standing.ignored == ()


def test_the_ledger_holds_neither_its_words_nor_names(
    ledger: Ledger, declare: Declare, sequence: Callable[[], object]
) -> None:
    declare()
    sequence()
    said = b"".join(entry.statement.to_bytes() for entry in ledger.entries())
    assert not any(word in said for word in (b"Throttled", b"stood still", b"wendelin"))


def test_it_is_closed_once_and_with_an_outcome(database: Database, ledger: Ledger, declare: Declare) -> None:
    incident = declare()
    with pytest.raises(UsageError):
        incidents.close(database, ledger, incident.id, id=uuid4(), outcome=" ", actor="bob")
    closed = incidents.close(database, ledger, incident.id, id=uuid4(), outcome="Quota raised.", actor="bob")
    assert closed.closing is not None
    assert closed.closing.outcome == "Quota raised."
    with pytest.raises(IncidentClosedError):
        incidents.close(database, ledger, incident.id, id=uuid4(), outcome="Again.", actor="bob")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"risk": "R01"}, "did you mean `R001`"),
        ({"risk": "R001", "rows": ["R001.3"]}, "did you mean"),
        ({"rows": ["S004.1"]}, "no row of R001"),
        ({"title": ""}, "title is empty"),
        ({"title": "x" * 121}, "longer than 120"),
        ({"what_happened": "\x1b]0;"}, "control characters"),
        ({"what_happened": "x" * 4001}, "longer than 4000"),
        ({"environment": "../demo"}, "no environment"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(
    database: Database, tenant: UUID, declare: Declare, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        declare(**changes)
    assert incidents.incidents(database, tenant) == []


@pytest.mark.parametrize(
    ("row", "variant", "said"),
    [
        ("R001.1", "strom", "did you mean `storm`"),
        ("R001.2", "storm", "none yet"),
        ("S004.1", "x", "no row of R001"),
    ],
)
def test_only_a_drill_of_its_own_risk_can_be_linked(
    database: Database, ledger: Ledger, declare: Declare, row: str, variant: str, said: str
) -> None:
    incident = declare()
    with pytest.raises(IncidentInputError, match=said):
        incidents.link(database, ledger, incident.id, id=uuid4(), row=row, variant=variant, known=VARIANTS, actor="a")


@pytest.mark.parametrize(
    "change", ["title = 'Nothing much'", "what_happened = 'x'", "row_ids = '{R001.2}'", "environment = 'staging'"]
)
def test_an_incident_that_was_changed_by_sql_is_shown_as_unsigned(
    database: Database, ledger: Ledger, declare: Declare, change: str
) -> None:
    declare()
    with database.tenant(ledger.tenant_id) as connection:
        connection.execute(f"update incidents set {change}".encode())
    [listed] = incidents.incidents(database, ledger.tenant_id)
    assert not listed.is_signed


def test_a_closing_that_was_written_by_sql_closes_nothing(database: Database, ledger: Ledger, declare: Declare) -> None:
    incident = declare()
    with database.tenant(ledger.tenant_id) as connection:
        connection.execute(
            "insert into incident_actions (id, incident_id, action, person, outcome, statement) select"
            " gen_random_uuid(), incident_id, 'closed', person, 'Never happened.', statement from incident_actions"
        )
    assert incidents.get(database, ledger.tenant_id, incident.id).closing is None


def test_another_tenant_neither_sees_nor_closes_it(
    database: Database, declare: Declare, other_tenant: UUID, ledger: Ledger
) -> None:
    incident = declare()
    assert incidents.incidents(database, other_tenant) == []
    with pytest.raises(UnknownIncidentError):
        incidents.get(database, other_tenant, incident.id)
    foreign = Ledger(database, other_tenant, ledger._keyring)
    with pytest.raises(UnknownIncidentError):
        incidents.close(database, foreign, incident.id, id=uuid4(), outcome="Ours now.", actor="eve")
