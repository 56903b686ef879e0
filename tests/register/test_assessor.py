"""The assessor on a real log: what was appended counts, what was tampered with does not, and starting is cheap."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from prodsprints.drills.catalog import Catalog
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.statement import PredicateType, Statement
from prodsprints.ledger.witness import Witness
from prodsprints.register import documents, hearing, snapshot
from prodsprints.register.assessment import LogState
from prodsprints.register.assessor import Assessor
from prodsprints.register.register import Register
from prodsprints.register.signed import digest
from prodsprints.register.standing import Standing, fold
from prodsprints.register.status import Status
from prodsprints.register.verifications import Verifier
from prodsprints.store.database import Database, one
from prodsprints.store.embedded import EmbeddedPostgres
from register.support_log import acceptance, attestation, drill, incident, person, sha


class House:
    """One tenant's log with everything that writes and reads it."""

    def __init__(self, db: Database, tenant: UUID, settings: Settings, register: Register) -> None:
        self.db, self.tenant, self.settings, self.register = db, tenant, settings, register
        self.keyring = Keyring.open(settings.home)
        self.witness = Witness.open(settings)
        self.ledger = Ledger(db, tenant, self.keyring)
        self.sequencer = Sequencer(db, self.keyring, self.witness)

    def say(self, *statements: Statement) -> None:
        for statement in statements:
            self.ledger.append(statement)
        self.sequencer.sequence(self.tenant)

    def neighbour(self, tenant: UUID) -> House:
        """Another tenant of the same home."""
        return House(self.db, tenant, self.settings, self.register)

    def assessor(self) -> Assessor:
        """As a process has it that has just started."""
        return Assessor(self.db, self.keyring, self.witness, Catalog.of({}), lambda _: self.register)

    def drilled(self, outcome: str = "held", **said: object) -> Statement:
        return drill(outcome, tenant=str(self.tenant), at=datetime.now(UTC), **said)  # type: ignore[arg-type]

    def tamper(self, admin: str, statement: str) -> None:
        """As the owner of the database, past every policy."""
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(statement, {"tenant": self.tenant})  # type: ignore[call-overload]


@pytest.fixture
def house(database: Database, tenant: UUID, tmp_path: Path, settings: Settings, register: Register) -> House:
    return House(database, tenant, replace(settings, home=tmp_path), register)


@pytest.fixture
def other_tenant(database: Database) -> UUID:
    with database.dispatch() as connection:
        row = connection.execute("insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"])
        return UUID(str(one(row.fetchone())["id"]))


@pytest.fixture
def admin(postgres: EmbeddedPostgres) -> str:
    return postgres.admin_address().conninfo


def test_a_log_that_nobody_has_written_to_is_a_register_of_claims(house: House) -> None:
    found = house.assessor().assess(house.tenant, "demo")
    assert found.counts.unproven == 117
    assert found.log.state is LogState.UNWITNESSED
    assert not found.outside_witness


def test_what_is_appended_is_heard_by_a_running_assessor(house: House) -> None:
    assessor = house.assessor()
    person = {"tenant": str(house.tenant)}
    before = assessor.assess(house.tenant, "demo")
    until = datetime.now(UTC) + timedelta(days=1)
    house.say(attestation("S001.5", expires=until, **person), acceptance("R002", expires=until, **person))
    after = assessor.assess(house.tenant, "demo")
    assert (before.rows["S001.5"].status, after.rows["S001.5"].status) == (Status.UNPROVEN, Status.ATTESTED)
    assert after.risks["R002"].treatment == "accept"
    assert assessor.assess(house.tenant, "production").counts.attested == 0


def test_each_tenant_hears_its_own_log_only(house: House, other_tenant: UUID) -> None:
    house.say(attestation("S001.5", expires=datetime.now(UTC) + timedelta(days=1), tenant=str(house.tenant)))
    assessor = house.assessor()
    assert assessor.assess(house.tenant, "demo").counts.attested == 1
    assert assessor.assess(other_tenant, "demo").counts.attested == 0


def keep(house: House, standing: Standing) -> None:
    """A snapshot of `standing` under the newest checkpoint."""
    checkpoint = house.ledger.checkpoint()
    assert checkpoint is not None
    kept = snapshot.Snapshot(standing, checkpoint.size, checkpoint.root)
    snapshot.store(house.db, house.keyring, house.tenant, kept)


def folded(house: House) -> Standing:
    return fold(Standing(str(house.tenant)), house.ledger.entries())


def test_a_start_with_a_snapshot_reads_only_what_was_said_since(house: House, admin: str) -> None:
    house.say(house.drilled(), house.drilled("failed", variant="hang"))
    keep(house, folded(house))
    house.say(house.drilled("failed", row="R001.2"))
    whole = folded(house)
    house.tamper(
        admin,
        "delete from ledger_statements where tenant_id = %(tenant)s and id = (select min(id) from"
        " ledger_statements where tenant_id = %(tenant)s)",
    )
    assessor = house.assessor()
    assert assessor.standing(house.tenant) == whole
    assert assessor.verify(house.tenant).findings, "looking at the whole of it finds what is missing"


def test_each_log_is_looked_at_whole_once_a_day_and_what_is_found_counts(house: House, admin: str) -> None:
    house.say(house.drilled(), house.drilled("failed", variant="hang"))
    verifier = Verifier(house.db, house.keyring, house.witness)
    assert house.tenant in verifier.verify_due()
    assert house.tenant not in verifier.verify_due()
    house.tamper(
        admin,
        "delete from ledger_statements where tenant_id = %(tenant)s and id = (select min(id) from"
        " ledger_statements where tenant_id = %(tenant)s)",
    )
    house.tamper(admin, "delete from log_verifications where tenant_id = %(tenant)s")
    assert house.tenant in verifier.verify_due()
    assert house.assessor().assess(house.tenant, "demo").log.state is LogState.TAMPERED


def test_a_long_log_is_kept_as_a_snapshot_by_itself(house: House) -> None:
    house.say(*[house.drilled(row=f"R{number % 300:03}.1") for number in range(hearing.SNAPSHOT_EVERY)])
    heard = house.assessor().standing(house.tenant)
    kept = snapshot.load(house.db, house.tenant, house.ledger.keys)
    assert kept is not None and kept.standing == heard


@pytest.mark.parametrize(
    "damage",
    [
        "update register_snapshots set body = set_byte(body, 20, get_byte(body, 20) # 1) where tenant_id = %(tenant)s",
        "update register_snapshots set signature = sha512(body) where tenant_id = %(tenant)s",
        "update register_snapshots set key_id = 'somebody' where tenant_id = %(tenant)s",
        "delete from register_snapshots where tenant_id = %(tenant)s",
    ],
)
def test_a_snapshot_that_was_tampered_with_is_left_and_made_again_from_the_log(
    house: House, admin: str, damage: str
) -> None:
    house.say(house.drilled("failed"))
    keep(house, Standing(str(house.tenant), size=2))
    house.tamper(admin, damage)
    assert house.assessor().standing(house.tenant) == folded(house)


def test_a_snapshot_of_another_tenant_is_left(house: House, other_tenant: UUID, admin: str) -> None:
    other = house.neighbour(other_tenant)
    for each in (house, other):
        each.say(each.drilled("failed"))
    keep(other, Standing(str(other_tenant), size=2))
    house.tamper(
        admin,
        f"""insert into register_snapshots (tenant_id, body, key_id, signature)
            select %(tenant)s, body, key_id, signature from register_snapshots where tenant_id = '{other_tenant}'""",
    )
    assert house.assessor().standing(house.tenant) == folded(house)


def test_a_snapshot_that_was_made_before_a_key_was_revoked_is_left(house: House) -> None:
    house.say(house.drilled("failed"))
    keep(house, folded(house))
    key = next(key for key in house.ledger.keys.keys if key.role == "drill")
    house.keyring.revoke(house.tenant, key.id, from_index=0)
    assert not house.assessor().standing(house.tenant).rows


def test_a_snapshot_that_disagrees_with_the_log_tells_of_another_log(house: House, database: Database) -> None:
    house.say(house.drilled())
    snapshot.store(
        database, house.keyring, house.tenant, snapshot.Snapshot(Standing(str(house.tenant), 1), 1, b"\0" * 32)
    )
    found = house.assessor().assess(house.tenant, "demo")
    assert found.log.state is LogState.TAMPERED
    assert found.counts.invalid == 117


@pytest.mark.parametrize(
    "damage",
    [
        "update ledger_statements set envelope = replace(encode(envelope, 'escape'), 'sig\":\"', 'sig\":\"A')::bytea"
        " where tenant_id = %(tenant)s",
        "delete from ledger_entries where tenant_id = %(tenant)s and index = 2",
        "update ledger_entries set at = 'infinity' where tenant_id = %(tenant)s and index = 2",
        "update ledger_entries set at = '4000-01-01 BC' where tenant_id = %(tenant)s and index = 2",
        "update ledger_entries set at = '1969-01-01' where tenant_id = %(tenant)s and index = 2",
        "delete from ledger_statements where tenant_id = %(tenant)s",
        "delete from ledger_checkpoints where tenant_id = %(tenant)s",
    ],
)
def test_a_log_that_was_tampered_with_makes_all_rows_invalid_after_a_start(
    house: House, admin: str, damage: str
) -> None:
    house.say(house.drilled("failed"), house.drilled("failed"))
    house.tamper(admin, damage)
    found = house.assessor().assess(house.tenant, "demo")
    assert (found.log.state, found.counts.invalid) == (LogState.TAMPERED, 117)
    assert found.log.reason
    assert house.assessor().verify(house.tenant).findings


def test_a_log_that_was_rolled_back_is_told_by_the_witness(house: House, admin: str) -> None:
    house.say(house.drilled("held"))
    house.say(house.drilled("failed"))
    for table in ("ledger_entries where index >= 2 and", "ledger_checkpoints where size > 2 and"):
        house.tamper(admin, f"delete from {table} tenant_id = %(tenant)s")
    found = house.assessor().assess(house.tenant, "demo")
    assert (found.log.state, found.counts.invalid) == (LogState.TAMPERED, 117)
    assert "3 entries and now has 2" in found.log.reason


def test_what_the_look_at_the_whole_log_finds_counts_for_every_process(house: House, admin: str) -> None:
    house.say(house.drilled("failed"))
    running, other = house.assessor(), house.assessor()
    for assessor in (running, other):
        assert assessor.assess(house.tenant, "demo").log.state is LogState.UNWITNESSED
    house.tamper(admin, "update ledger_statements set digest = sha256(digest) where tenant_id = %(tenant)s")
    assert running.assess(house.tenant, "demo").log.state is LogState.UNWITNESSED, "what was heard stays heard"
    assert running.verify(house.tenant).findings
    for assessor in (running, other):
        assert assessor.assess(house.tenant, "demo").log.state is LogState.TAMPERED


def test_a_status_written_by_sql_has_no_effect(house: House, admin: str) -> None:
    house.say(house.drilled("failed"))
    house.tamper(
        admin,
        """insert into log_verifications (tenant_id, body, key_id, signature)
           values (%(tenant)s, '{"findings": [], "tenant": ""}', 'me', sha512('me'))""",
    )
    assert house.assessor().assess(house.tenant, "demo").counts.proven == 0


def test_what_a_revoked_key_said_no_longer_counts(house: House) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    house.say(attestation("S001.5", expires=until, tenant=str(house.tenant)))
    assessor = house.assessor()
    assert assessor.assess(house.tenant, "demo").counts.attested == 1
    key = next(key for key in house.ledger.keys.keys if key.role == "person")
    house.keyring.revoke(house.tenant, key.id, from_index=0)
    house.say(house.drilled("failed"))
    assert assessor.assess(house.tenant, "demo").counts.attested == 0


def test_time_is_the_databases_and_never_goes_back(house: House) -> None:
    house.say(house.drilled())
    assessor = house.assessor()
    first = assessor.assess(house.tenant, "demo").now
    second = assessor.assess(house.tenant, "demo").now
    checkpoint = house.ledger.checkpoint()
    assert checkpoint is not None
    assert checkpoint.at <= first <= second


def test_a_snapshot_holds_everything_that_a_standing_can(house: House) -> None:
    tenant = str(house.tenant)
    house.say(
        house.drilled(),
        house.drilled("invalid", variant="hang"),
        house.drilled("failed", row="R002.1", digest="b"),
        attestation(tenant=tenant),
        acceptance(tenant=tenant),
        acceptance("R002", tenant=tenant),
        house.drilled("failed", row="R002.1"),
        incident("declared", tenant=tenant),
        incident("linked", variant="storm", tenant=tenant),
        incident("closed", tenant=tenant),
        incident("closed", tenant=tenant),
        person(PredicateType.REVIEW, tenant=tenant, kind="weekly", due="2026-11-01", decisions_sha256=sha("d")),
    )
    house.say(house.drilled(experiment="changed"))
    standing = folded(house)
    assert all((standing.rows, standing.acceptances, standing.incidents, standing.reviews, standing.ignored))
    assert standing.incidents["i-1"].lifted
    keep(house, standing)
    kept = snapshot.load(house.db, house.tenant, house.ledger.keys)
    assert kept is not None and kept.standing == standing


def test_what_somebody_wrote_into_the_homes_witness_takes_nothing_from_the_one_outside(
    house: House, admin: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    subprocess.run(["git", "init", "-q", str(outside)], check=True)
    witnessed = House(house.db, house.tenant, replace(house.settings, witness=outside), house.register)
    witnessed.say(witnessed.drilled("held"))
    witnessed.say(witnessed.drilled("failed"))
    checkpoint = witnessed.ledger.checkpoint()
    assert checkpoint is not None
    forged = checkpoint.note.replace(f"\n{checkpoint.size}\n", f"\n{10**9}\n", 1)
    (house.settings.home / "witness" / f"{house.tenant}.log").write_text(forged)
    for table in ("ledger_entries where index >= 2 and", "ledger_checkpoints where size > 2 and"):
        house.tamper(admin, f"delete from {table} tenant_id = %(tenant)s")
    found = witnessed.assessor().assess(house.tenant, "demo")
    assert (found.log.state, found.counts.proven) == (LogState.TAMPERED, 0)


def test_a_log_that_the_outside_witness_knows_nothing_of_has_none(house: House, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    subprocess.run(["git", "init", "-q", str(outside)], check=True)
    witnessed = House(house.db, house.tenant, replace(house.settings, witness=outside), house.register)
    witnessed.say(witnessed.drilled())
    assert witnessed.assessor().assess(house.tenant, "demo").log.state is LogState.VERIFIED
    subprocess.run(["git", "-C", str(outside), "update-ref", "-d", "HEAD"], check=True)
    found = witnessed.assessor().assess(house.tenant, "demo").log
    assert found.state is LogState.UNWITNESSED
    assert "outside witness has no checkpoint" in found.reason


def test_a_snapshot_of_a_key_that_was_rotated_is_left(house: House) -> None:
    house.say(house.drilled("failed"))
    keep(house, Standing(str(house.tenant), size=2))
    old = next(key for key in house.ledger.keys.keys if key.role == "platform")
    house.keyring.replace(house.tenant, old, Ed25519PrivateKey.generate(), at=2)
    assert house.assessor().standing(house.tenant) == folded(house)


class Documented:
    """A house whose register is the document that was imported last."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.assessor = Assessor(
            house.db, house.keyring, house.witness, Catalog.of({}), partial(documents.register_of, house.db)
        )

    def bring(self, *claims: str) -> None:
        lines = "".join(f"- Done: {claim}\n" for claim in claims)
        markdown = f"#### R001: Limits\nLevel: critical\nProbability: 3\nMitigation:\n{lines}"
        documents.import_document(self.house.db, self.house.ledger, id=uuid4(), markdown=markdown, actor="ada")

    @property
    def found(self) -> tuple[LogState, int]:
        assessment = self.assessor.assess(self.house.tenant, "demo")
        return assessment.log.state, assessment.counts.mitigations


def test_an_import_counts_before_the_log_has_it(house: House) -> None:
    documented = Documented(house)
    documented.bring("one")
    assert documented.found == (LogState.UNWITNESSED, 1)
    house.sequencer.sequence(house.tenant)
    assert documented.found == (LogState.UNWITNESSED, 1)
    documented.bring("one", "two")
    assert documented.found == (LogState.UNWITNESSED, 2)
    house.sequencer.sequence(house.tenant)  # or other tests would find it waiting


@pytest.mark.parametrize(
    "change",
    [
        "delete from risk_documents where version = 2 and",
        "delete from risk_documents where",
        "update risk_documents set version = 3 where version = 1 and",
    ],
)
def test_an_older_document_in_the_place_of_the_newest_makes_all_rows_invalid(
    house: House, admin: str, change: str
) -> None:
    documented = Documented(house)
    documented.bring("one")
    documented.bring("one", "two that is not held")
    house.sequencer.sequence(house.tenant)
    assert documented.found == (LogState.UNWITNESSED, 2)
    house.tamper(admin, f"{change} tenant_id = %(tenant)s")
    assert documented.found[0] is LogState.TAMPERED


def test_a_document_that_nobody_signed_makes_all_rows_invalid(house: House, admin: str) -> None:
    documented = Documented(house)
    documented.bring("one")
    house.sequencer.sequence(house.tenant)
    id, person, text = uuid4(), uuid4(), "#### R009: Nothing\nLevel: low\nProbability: 1\nMitigation:\n- Done: x\n"
    numbers = {"rows": {}, "risks": {}}
    sha256 = digest(text)
    forged = documents._statement(house.tenant, id, str(person), sha256, numbers).digest
    house.tamper(
        admin,
        f"""insert into risk_documents (tenant_id, id, version, sha256, text, numbers, person, statement)
            values (%(tenant)s, '{id}', 2, '{sha256}', '{text}', '{json.dumps(numbers)}', '{person}', '{forged}')""",
    )
    house.tamper(
        admin,
        f"""insert into ledger_statements (tenant_id, digest, envelope, key_id)
            values (%(tenant)s, decode('{forged}', 'hex'), 'signed, I swear', 'somebody')""",
    )
    assert documents.register_of(house.db, house.tenant).risks[0].id == "R009"
    assert documented.found[0] is LogState.TAMPERED
