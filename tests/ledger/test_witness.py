"""The witness: keeps what it was shown, whatever was torn in between, in a file and in Git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.kernel.settings import Settings
from prodsprints.ledger.checkpoint import Checkpoint, microseconds, moment, read_notes
from prodsprints.ledger.errors import BundleError, LedgerTamperedError, SignatureError, WitnessError
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database

TENANT = UUID(int=9)
Signs = Callable[..., Checkpoint]


@pytest.fixture
def here(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, home=tmp_path)


@pytest.fixture
def signs(here: Settings) -> Signs:
    keyring = Keyring.open(here.home)
    keyring.create(TENANT)

    def sign(size: int, root: bytes = bytes(32)) -> Checkpoint:
        return Checkpoint.signed(
            keyring.signer(TENANT), size=size, root=root, at=datetime(2026, 11, 23, 15, 29, 0, 123456, UTC)
        )

    return sign


def git(top: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(top), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "outside"
    top.mkdir()
    git(top, "init", "-q")
    return top


def test_a_note_is_read_back_as_it_was_signed(signs: Signs, here: Settings) -> None:
    checkpoint = signs(7, b"\7" * 32)
    assert Checkpoint.parse(checkpoint.note) == checkpoint
    checkpoint.verify(Keyring.open(here.home).keys(TENANT))


@given(data=st.data())
def test_a_note_with_any_character_changed_is_none_or_not_signed(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keyring = Keyring.open(tmp_path_factory.mktemp("keys"))
    keyring.create(TENANT)
    note = Checkpoint.signed(keyring.signer(TENANT), size=12, root=b"\1" * 32, at=moment(1_795_000_000_000_000)).note
    at = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters().filter(lambda character: character != note[at]))
    with pytest.raises((BundleError, SignatureError)):
        Checkpoint.parse(note[:at] + other + note[at + 1 :]).verify(keyring.keys(TENANT))


@given(st.text(max_size=300))
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(BundleError):
        Checkpoint.parse(text)
    with pytest.raises(BundleError):
        Checkpoint.newest(text)


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_time_keeps_its_microseconds(at: datetime) -> None:
    assert moment(microseconds(at)) == at


def test_the_last_checkpoint_is_the_newest_and_all_are_kept(here: Settings, signs: Signs) -> None:
    witness = Witness.open(here)
    assert witness.last(TENANT) is None
    shown = [signs(size) for size in (1, 5, 6)]
    for checkpoint in shown:
        witness.record(checkpoint)
    witness.record(shown[1])
    assert Witness.open(here).last(TENANT) == shown[2]
    assert Checkpoint.newest((here.home / "witness" / f"{TENANT}.log").read_text()) == shown[2]
    assert not witness.outside


def test_another_root_at_the_same_size_is_a_fork(here: Settings, signs: Signs) -> None:
    witness = Witness.open(here)
    witness.record(signs(5))
    with pytest.raises(LedgerTamperedError, match="another root at 5"):
        witness.record(signs(5, b"\1" * 32))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_a_killed_process_wrote_in_part_spoils_nothing(here: Settings, signs: Signs, share: float) -> None:
    witness, path = Witness.open(here), here.home / "witness" / f"{TENANT}.log"
    witness.record(signs(1))
    torn = signs(2).note
    with path.open("a") as stream:
        stream.write(torn[: int(len(torn) * share)])
    assert witness.last(TENANT) == signs(1)
    witness.record(signs(3))
    assert witness.last(TENANT) == signs(3)
    assert read_notes(path.read_text()) == [signs(1), signs(3)]


def test_a_long_file_is_read_from_its_end(here: Settings, signs: Signs) -> None:
    witness, path = Witness.open(here), here.home / "witness" / f"{TENANT}.log"
    path.write_text("\n".join([*(signs(size).note for size in range(1, 200)), ""]))
    last = witness.last(TENANT)
    assert last is not None
    assert last.size == 199


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_witness_that_cannot_be_written_says_so(here: Settings, signs: Signs) -> None:
    witness = Witness.open(here)
    (here.home / "witness").chmod(0o500)
    with pytest.raises(WitnessError, match="Make room"):
        witness.record(signs(1))


def test_a_file_in_the_witness_place_is_refused(here: Settings) -> None:
    (here.home / "witness").write_text("")
    with pytest.raises(WitnessError):
        Witness.open(here)


def test_the_newest_checkpoint_of_each_log_is_committed(here: Settings, repository: Path, signs: Signs) -> None:
    witness = Witness.open(replace(here, witness=repository))
    assert witness.outside
    witness.publish()
    for size in (1, 2):
        witness.record(signs(size))
    witness.publish()
    witness.publish()
    witness.record(signs(3))
    witness.publish()
    name = f"{TENANT}.log"
    assert git(repository, "rev-list", "--count", "HEAD") == "2"
    assert git(repository, "show", f"HEAD:{name}") == signs(3).note.strip()
    assert git(repository, "show", f"HEAD~1:{name}") == signs(2).note.strip()
    assert git(repository, "status", "--porcelain") == ""


def test_the_repository_remembers_when_the_home_was_taken_back(here: Settings, repository: Path, signs: Signs) -> None:
    witness = Witness.open(replace(here, witness=repository))
    witness.record(signs(8))
    witness.publish()
    (here.home / "witness" / f"{TENANT}.log").unlink()
    assert Witness.open(replace(here, witness=repository)).last(TENANT) == signs(8)
    assert Witness.open(here).last(TENANT) is None


def test_nothing_that_the_repository_configures_is_run(
    here: Settings, repository: Path, signs: Signs, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    program.chmod(0o755)
    for name in ("pre-commit", "post-commit", "reference-transaction", "post-index-change", "post-checkout"):
        (repository / ".git" / "hooks").mkdir(exist_ok=True)
        (repository / ".git" / "hooks" / name).write_bytes(program.read_bytes())
        (repository / ".git" / "hooks" / name).chmod(0o755)
    for key in (
        "core.fsmonitor",
        "filter.any.clean",
        "filter.any.smudge",
        "gpg.program",
        "core.editor",
        "core.sshCommand",
    ):
        git(repository, "config", key, str(program))
    git(repository, "config", "commit.gpgSign", "true")
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("* filter=any\n")
    ran.unlink(missing_ok=True)
    witness = Witness.open(replace(here, witness=repository))
    witness.record(signs(1))
    witness.publish()
    assert witness.last(TENANT) == signs(1)
    assert not ran.exists()


@pytest.mark.parametrize("place", ["missing", "plain"])
def test_a_witness_that_is_no_repository_is_refused_at_once(here: Settings, tmp_path: Path, place: str) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(WitnessError, match="git init"):
        Witness.open(replace(here, witness=tmp_path / place))


def test_a_repository_that_cannot_be_written_keeps_its_checkpoints_for_the_next_time(
    here: Settings, repository: Path, signs: Signs
) -> None:
    witness = Witness.open(replace(here, witness=repository))
    lock = repository / ".git" / "index.lock"
    lock.touch()
    witness.record(signs(1))
    with pytest.raises(WitnessError, match="cannot commit"):
        witness.publish()
    lock.unlink()
    witness.publish()
    assert git(repository, "rev-list", "--count", "HEAD") == "1"


def test_the_sequencer_brings_the_witness_what_a_killed_one_did_not(
    sequenced: Callable[[int], Ledger], settings: Settings, keyring: Keyring, tenant: UUID, database: Database
) -> None:
    ledger = sequenced(8)
    path = settings.home / "witness" / f"{tenant}.log"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    before = Witness.open(settings).last(tenant)
    assert before is not None
    assert before.size < ledger.size()
    sequencer = Sequencer(database, keyring, Witness.open(settings))
    sequencer.start()
    sequencer.stop()
    last = Witness.open(settings).last(tenant)
    assert last is not None
    assert last.size == ledger.size()
