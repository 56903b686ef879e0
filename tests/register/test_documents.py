"""A tenant's own document: kept in versions, signed, and the register of that tenant alone."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from prodsprints.ledger.log import Ledger
from prodsprints.register import documents
from prodsprints.register.errors import RegisterError
from prodsprints.store.database import Database

SPECIFICATION = (Path(__file__).parents[1] / "fixtures" / "risks-and-mitigations.md").read_bytes()
SMALL = "#### R001: Limits\nLevel: high\nProbability: 3\nMitigation:\n- Done: Token bucket rate limiting per provider\n"


def bring(db: Database, ledger: Ledger, markdown: str | bytes) -> documents.Imported:
    return documents.import_document(db, ledger, id=uuid4(), markdown=markdown, actor="ada")


def test_before_an_import_the_register_is_ours(database: Database, tenant: UUID) -> None:
    register = documents.register_of(database, tenant)
    assert (len(register.risks), len(register.mitigations)) == (24, 117)
    assert documents.register_of(database, tenant) is register


def test_the_whole_specification_joins_our_controls(database: Database, ledger: Ledger) -> None:
    came = bring(database, ledger, SPECIFICATION)
    assert (came.risks, came.mitigations, came.claimed, came.joined, came.warnings) == (24, 117, 116, 117, ())
    register = documents.register_of(database, ledger.tenant_id)
    ours = documents.ours()
    assert [row.id for row in register.mitigations] == [row.id for row in ours.mitigations]
    assert [(row.control, row.drills) for row in register.mitigations] == [
        (row.control, row.drills) for row in ours.mitigations
    ]
    assert [risk.paths for risk in register.risks] == [risk.paths for risk in ours.risks]


def test_an_import_is_the_register_of_its_tenant_alone(database: Database, ledger: Ledger, other_tenant: UUID) -> None:
    bring(database, ledger, SMALL)
    assert len(documents.register_of(database, ledger.tenant_id).risks) == 1
    assert len(documents.register_of(database, other_tenant).risks) == 24
    assert documents.versions(database, other_tenant) == []


def test_the_same_document_again_changes_nothing(database: Database, ledger: Ledger) -> None:
    first = bring(database, ledger, SMALL)
    register = documents.register_of(database, ledger.tenant_id)
    assert bring(database, ledger, SMALL.replace("\n", "\r\n")) == first
    assert documents.register_of(database, ledger.tenant_id) is register
    assert [it.version for it in documents.versions(database, ledger.tenant_id)] == [1]


def test_every_version_is_kept_and_the_newest_holds(database: Database, ledger: Ledger) -> None:
    bring(database, ledger, SMALL)
    bring(database, ledger, SMALL + "- Planned: more\n")
    bring(database, ledger, SMALL)
    versions = documents.versions(database, ledger.tenant_id)
    assert [(it.version, it.is_signed) for it in versions] == [(3, True), (2, True), (1, True)]
    assert versions[0].sha256 == versions[2].sha256
    assert len(documents.register_of(database, ledger.tenant_id).mitigations) == 1


def test_a_number_that_was_given_out_is_never_given_to_other_words(database: Database, ledger: Ledger) -> None:
    bring(database, ledger, SMALL + "- Done: a\n")
    bring(database, ledger, SMALL + "- Done: b\n")
    rows = documents.register_of(database, ledger.tenant_id).mitigations
    assert [(row.id, row.words) for row in rows] == [
        ("R001.2", "Token bucket rate limiting per provider"),
        ("R001.7", "b"),
    ]


def test_what_is_no_risk_document_changes_nothing(database: Database, ledger: Ledger) -> None:
    with pytest.raises(RegisterError):
        bring(database, ledger, "# Lunch\n")
    assert documents.versions(database, ledger.tenant_id) == []


@pytest.mark.parametrize(
    "change",
    [
        "text = replace(text, 'Done:', 'TODO:')",
        "text = text || 'x', sha256 = encode(sha256(convert_to(text || 'x', 'UTF8')), 'hex')",
        "statement = repeat('0', 64)",
        """numbers = jsonb_set(numbers, '{rows,R001,"done: forged"}', '6')""",
        "numbers = '{}'",
    ],
)
def test_a_version_that_was_changed_by_sql_has_no_effect_and_is_shown(
    database: Database, ledger: Ledger, change: str
) -> None:
    bring(database, ledger, SMALL)
    bring(database, ledger, SMALL + "- Done: forged\n")
    with database.tenant(ledger.tenant_id) as connection:
        connection.execute(f"update risk_documents set {change} where version = 2".encode())
    assert [it.is_signed for it in documents.versions(database, ledger.tenant_id)] == [False, True]
    assert len(documents.register_of(database, ledger.tenant_id).mitigations) == 1
