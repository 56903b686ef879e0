"""Keys: made once, closed to others, never replaced in silence; rotated and revoked without losing what they signed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.settings import Settings
from prodsprints.ledger import rotation
from prodsprints.ledger.errors import (
    BundleError,
    KeyExposedError,
    KeyFileError,
    KeyLostError,
    KeyRevokedError,
    NotSequencedError,
)
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Role, read_keys
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.statement import PredicateType, Statement
from prodsprints.ledger.verification import verify_log
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database

Says = Callable[..., Statement]
TENANT = UUID(int=5)


@pytest.fixture
def own(tmp_path: Path) -> Keyring:
    keyring = Keyring.open(tmp_path)
    assert keyring.create(TENANT)
    return keyring


@pytest.fixture
def at_work(sequencer: Sequencer) -> Iterator[Sequencer]:
    sequencer.start()
    yield sequencer
    sequencer.stop()


def file_of(home: Path, tenant: UUID = TENANT) -> Path:
    return home / "secrets" / "keys" / f"{tenant}.json"


def test_keys_are_made_once_one_for_each_role_and_closed_to_others(own: Keyring, tmp_path: Path) -> None:
    first = own.keys(TENANT)
    assert not own.create(TENANT)
    assert Keyring.open(tmp_path).keys(TENANT) == first
    assert {key.role for key in first} == set(Role)
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert file_of(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_every_tenant_has_keys_of_its_own(own: Keyring) -> None:
    other = uuid4()
    own.create(other)
    assert {key.id for key in own.keys(TENANT)}.isdisjoint(key.id for key in own.keys(other))


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o602])
def test_keys_that_others_could_read_or_replace_do_not_sign(own: Keyring, tmp_path: Path, mode: int) -> None:
    own.signer(TENANT)
    file_of(tmp_path).chmod(mode)
    for keyring in (own, Keyring.open(tmp_path)):
        with pytest.raises(KeyExposedError, match="chmod go="):
            keyring.signer(TENANT)
    file_of(tmp_path).chmod(0o600)
    assert own.signer(TENANT)


def test_a_directory_of_keys_that_is_open_to_others_is_refused(own: Keyring, tmp_path: Path) -> None:
    file_of(tmp_path).parent.chmod(0o755)
    with pytest.raises(KeyExposedError, match="open to others"):
        Keyring.open(tmp_path)


def test_keys_behind_a_link_are_refused(own: Keyring, tmp_path: Path) -> None:
    file_of(tmp_path).rename(tmp_path / "elsewhere.json")
    file_of(tmp_path).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(KeyExposedError):
        Keyring.open(tmp_path).signer(TENANT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_keys_that_belong_to_another_user_are_refused(own: Keyring, tmp_path: Path) -> None:
    os.chown(file_of(tmp_path), 12345, -1)
    with pytest.raises(KeyExposedError, match="belongs to another user"):
        Keyring.open(tmp_path).signer(TENANT)


def test_a_damaged_or_foreign_file_of_keys_is_named_and_not_quoted(own: Keyring, tmp_path: Path) -> None:
    document = json.loads(file_of(tmp_path).read_bytes())
    secret = document["keys"][0]["private"]
    swapped = json.loads(json.dumps(document))
    swapped["keys"][0]["private"] = document["keys"][1]["private"]
    for damaged in (
        b"",
        b"[]",
        b"[" * 100_000,
        json.dumps(document).encode()[:-9],
        json.dumps(document | {"tenant": str(uuid4())}).encode(),
        json.dumps(document | {"keys": [document["keys"][0] | {"private": secret[:-4]}]}).encode(),
        json.dumps(document | {"keys": [document["keys"][0] | {"until_index": "soon"}]}).encode(),
        json.dumps(swapped).encode(),
    ):
        file_of(tmp_path).write_bytes(damaged)
        with pytest.raises(KeyFileError) as refused:
            Keyring.open(tmp_path).signer(TENANT)
        assert str(file_of(tmp_path)) in str(refused.value)
        assert secret not in str(refused.value)


def test_lost_keys_are_not_replaced_by_others(
    ledger: Ledger, settings: Settings, sequencer: Sequencer, database: Database, tenant: UUID, says: Says
) -> None:
    receipt = ledger.append(says())
    sequencer.sequence(tenant)
    file_of(settings.home, tenant).unlink()
    for keyring in (Keyring.open(settings.home), Keyring.open(settings.home)):
        again = Ledger(database, tenant, keyring)
        for use in (lambda: again.append(says()), again.entries, again.size, lambda: again.wait(receipt)):  # noqa: B023
            with pytest.raises(KeyLostError, match="no keys for the log"):
                use()
    assert not file_of(settings.home, tenant).exists()


def test_a_log_begins_with_its_keys(ledger: Ledger, sequencer: Sequencer, says: Says, tenant: UUID) -> None:
    ledger.append(says())
    sequencer.sequence(tenant)
    first = ledger.entry(0).statement
    assert first.type is PredicateType.KEYS
    assert first.predicate["keys"] == ledger.keys.as_json()


@pytest.mark.parametrize("role", Role)
def test_after_a_rotation_the_new_key_speaks_and_the_old_evidence_still_verifies(
    role: Role,
    at_work: Sequencer,
    ledger: Ledger,
    database: Database,
    tenant: UUID,
    keyring: Keyring,
    witness: Witness,
    says: Says,
) -> None:
    every = [PredicateType.TEST_RESULT, PredicateType.ATTESTATION, PredicateType.OPERATION]
    for type in every:
        ledger.wait(ledger.append(says(type)))
    old = ledger.keys.current(role)
    new = rotation.rotate(database, tenant, keyring, role)
    for type in every:
        ledger.wait(ledger.append(says(type)))
    assert old is not None
    ended = ledger.keys.find(old.id)
    assert ended is not None
    assert (ended.until_index, new.from_index) == (new.from_index - 1, ledger.size() - 3)
    entries = ledger.entries()
    signers = {entry.envelope.key_id for entry in entries[new.from_index :]}
    assert old.id not in signers
    assert (new.id in signers) == (role is not Role.LOG)
    announced = entries[new.from_index - 1].statement
    assert announced.predicate["next"]["id"] == new.id
    assert verify_log(database, tenant, keyring, witness).holds


def test_a_rotation_without_a_sequencer_says_so_and_changes_nothing(
    ledger: Ledger, database: Database, tenant: UUID, keyring: Keyring, says: Says
) -> None:
    ledger.append(says())
    before = ledger.keys
    with pytest.raises(NotSequencedError, match="not rotated"):
        rotation.rotate(database, tenant, keyring, Role.DRILL, timeout_seconds=0.05)
    assert ledger.keys == before


def test_what_a_revoked_key_said_is_left_out_and_shown_as_that(
    at_work: Sequencer,
    ledger: Ledger,
    database: Database,
    tenant: UUID,
    keyring: Keyring,
    witness: Witness,
    says: Says,
) -> None:
    kinds = [PredicateType.OPERATION, PredicateType.TEST_RESULT] * 3
    for type in kinds:
        last = ledger.wait(ledger.append(says(type)))
    stolen = ledger.keys.current(Role.DRILL)
    assert stolen is not None
    fingerprint = ledger.keys.fingerprint
    rotation.revoke(database, tenant, keyring, stolen.id, from_index=3)
    said = [entry.index for entry in ledger.entries() if entry.statement.type is PredicateType.TEST_RESULT]
    assert said == [2]
    assert [entry.index for entry in ledger.entries(after=2, limit=2)] == [3, 5]
    with pytest.raises(KeyRevokedError):
        ledger.entry(last.index)
    report = verify_log(database, tenant, keyring, witness)
    assert (report.holds, report.revoked) == (True, 2)
    assert "2 of them said by revoked keys" in str(report)
    assert ledger.keys.fingerprint != fingerprint
    assert ledger.wait(ledger.append(says(PredicateType.TEST_RESULT))).envelope.key_id != stolen.id


def test_a_key_that_there_is_not_cannot_be_revoked(
    ledger: Ledger, database: Database, tenant: UUID, keyring: Keyring, says: Says
) -> None:
    ledger.append(says())
    with pytest.raises(UsageError, match="evidence keys"):
        rotation.revoke(database, tenant, keyring, "nobody", from_index=0)


def test_a_revocation_is_never_taken_back_in_part(
    at_work: Sequencer, ledger: Ledger, database: Database, tenant: UUID, keyring: Keyring, says: Says
) -> None:
    for _ in range(6):
        ledger.wait(ledger.append(says(PredicateType.TEST_RESULT)))
    stolen = ledger.keys.current(Role.DRILL)
    assert stolen is not None
    rotation.revoke(database, tenant, keyring, stolen.id, from_index=3)
    with pytest.raises(UsageError, match="revoked from entry 3 on already"):
        rotation.revoke(database, tenant, keyring, stolen.id, from_index=5)
    assert [key.revoked for key in keyring.keys(tenant) if key.id == stolen.id] == [3]
    assert rotation.revoke(database, tenant, keyring, stolen.id, from_index=2).revoked == 2


def test_public_keys_are_read_as_they_are_shown(own: Keyring) -> None:
    keys = own.keys(TENANT)
    lines = "\n".join(json.dumps({"schema": 1, "line": "key", **item}) for item in keys.as_json())
    answer = json.dumps({"keys": keys.as_json(), "fingerprint": keys.fingerprint}, indent=2)
    assert read_keys(lines.encode()) == read_keys(answer.encode()) == keys.keys


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"keys": []}', b'{"keys": [{}]}']
)
def test_what_is_no_file_of_keys_is_refused(text: bytes) -> None:
    with pytest.raises(BundleError):
        read_keys(text)
