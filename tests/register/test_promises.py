"""What people sign for: attestations and acceptances, with a reason or evidence, until a day, never across tenants."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from prodsprints.kernel.clock import now
from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.settings import Settings
from prodsprints.ledger import people
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.register.acceptances import Acceptance, accept, acceptances
from prodsprints.register.attestations import Attestation, attest, attestations
from prodsprints.register.errors import AttestationError, UnknownRiskError
from prodsprints.register.register import Register
from prodsprints.register.standing import Standing, fold
from prodsprints.store.database import Database

MONTH = timedelta(days=30)
WHY = "Cheaper than a third provider."


def sign(db: Database, ledger: Ledger, register: Register, **changes: object) -> Attestation:
    said = {"row": "S001.5", "environment": "demo", "evidence": "Audit 7, page 3", "expires_at": now() + MONTH}
    return attest(db, ledger, id=uuid4(), register=register, actor="wendelin", **(said | changes))  # type: ignore[arg-type]


def bear(db: Database, ledger: Ledger, register: Register, **changes: object) -> Acceptance:
    said = {
        "risk": "R010",
        "environment": "demo",
        "reason": "Cheaper than a third provider.",
        "expires_at": now() + MONTH,
    }
    return accept(db, ledger, id=uuid4(), register=register, actor="wendelin", **(said | changes))  # type: ignore[arg-type]


def test_what_was_signed_is_listed_with_its_words(database: Database, ledger: Ledger, register: Register) -> None:
    signed, borne = sign(database, ledger, register), bear(database, ledger, register)
    [attestation] = attestations(database, ledger.tenant_id, environment="demo", row="S001.5")
    [acceptance] = acceptances(database, ledger.tenant_id, environment="demo", risk="R010")
    assert (attestation.id, attestation.evidence, attestation.is_signed) == (signed.id, "Audit 7, page 3", True)
    assert (acceptance.id, acceptance.reason, acceptance.is_signed) == (
        borne.id,
        "Cheaper than a third provider.",
        True,
    )
    assert people.names(database, ledger.tenant_id, [attestation.person]) == {attestation.person: "wendelin"}


def test_a_signature_counts_in_the_fold_that_statuses_come_from(
    database: Database, ledger: Ledger, register: Register, settings: Settings
) -> None:
    signed, borne = sign(database, ledger, register), bear(database, ledger, register)
    Sequencer(database, Keyring.open(settings.home), Witness.open(settings)).sequence(ledger.tenant_id)
    standing = fold(Standing(str(ledger.tenant_id)), ledger.entries())
    attestation = standing.row("demo", "S001.5").attestation
    assert attestation is not None
    assert (attestation.nonce, attestation.person) == (str(signed.id), signed.person)
    assert standing.acceptances["demo", "R010"].word.nonce == str(borne.id)
    assert standing.ignored == ()


def test_the_ledger_holds_no_words_and_no_names(
    database: Database, ledger: Ledger, register: Register, settings: Settings
) -> None:
    sign(database, ledger, register)
    bear(database, ledger, register)
    Sequencer(database, Keyring.open(settings.home), Witness.open(settings)).sequence(ledger.tenant_id)
    for entry in ledger.entries():
        payload = entry.statement.to_bytes()
        assert not any(word in payload for word in (b"Audit 7", b"Cheaper", b"wendelin"))


@pytest.mark.parametrize("row", ["R001.1", "S004.2"])
def test_no_signature_makes_a_row_green_that_software_holds(
    database: Database, ledger: Ledger, register: Register, row: str
) -> None:
    with pytest.raises(AttestationError, match="no signature makes it green"):
        sign(database, ledger, register, row=row)
    assert attestations(database, ledger.tenant_id) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at": now() - timedelta(seconds=1)},
        {"expires_at": now() + timedelta(days=367)},
        {"expires_at": datetime(2027, 1, 1)},  # noqa: DTZ001 - that it is naive is the point
        {"environment": "De mo"},
        {"environment": ""},
    ],
)
def test_a_promise_without_a_sound_end_or_place_is_refused(
    database: Database, ledger: Ledger, register: Register, changes: dict[str, object]
) -> None:
    for promise in (sign, bear):
        with pytest.raises(UsageError):
            promise(database, ledger, register, **changes)
    assert attestations(database, ledger.tenant_id) == acceptances(database, ledger.tenant_id) == []


@pytest.mark.parametrize("words", ["", " \n ", "x" * 3000, "a\x1b[2Jb", "nul\x00"])
def test_words_that_say_nothing_or_too_much_are_refused(
    database: Database, ledger: Ledger, register: Register, words: str
) -> None:
    with pytest.raises(UsageError):
        sign(database, ledger, register, evidence=words)
    with pytest.raises(UsageError):
        bear(database, ledger, register, reason=words)


def test_what_is_not_in_the_register_is_named_with_what_was_meant(
    database: Database, ledger: Ledger, register: Register
) -> None:
    with pytest.raises(UnknownRiskError, match=r"did you mean `S001\.5`"):
        sign(database, ledger, register, row="S001.55")
    with pytest.raises(UnknownRiskError, match="did you mean `R010`"):
        bear(database, ledger, register, risk="R0100")


@pytest.mark.parametrize(
    "change",
    ["evidence = 'x'", "expires_at = expires_at + interval '1 d'", "row_id = 'O001.5'", "environment = 'production'"],
)
def test_an_attestation_that_was_changed_by_sql_is_shown_as_unsigned(
    database: Database, ledger: Ledger, register: Register, change: str
) -> None:
    sign(database, ledger, register)
    with database.tenant(ledger.tenant_id) as connection:
        connection.execute(f"update attestations set {change}".encode())
    [attestation] = attestations(database, ledger.tenant_id)
    assert not attestation.is_signed
    assert not attestation.holds(now())


def test_an_acceptance_without_its_statement_is_shown_as_unsigned(
    database: Database, ledger: Ledger, register: Register
) -> None:
    bear(database, ledger, register)
    with database.tenant(ledger.tenant_id) as connection:
        connection.execute(
            "insert into acceptances select tenant_id, gen_random_uuid(), environment, 'R001', person, reason,"
            " expires_at, statement from acceptances"
        )
    assert {it.risk: it.is_signed for it in acceptances(database, ledger.tenant_id)} == {"R010": True, "R001": False}


def test_promises_stay_with_their_tenant(
    database: Database, ledger: Ledger, register: Register, other_tenant: UUID
) -> None:
    sign(database, ledger, register)
    bear(database, ledger, register)
    assert attestations(database, other_tenant) == acceptances(database, other_tenant) == []
