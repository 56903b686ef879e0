"""`prodsprints evidence verify`, `rotate` and `revoke` on a real log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from prodsprints.cli.main import main
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.bundle import export
from prodsprints.ledger.keys import Role
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.statement import PredicateType, Statement
from prodsprints.store.database import Database

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def kept(sequenced: Callable[[int], Ledger], tmp_path: Path) -> Path:
    """A directory with what an auditor has: the bundle, the keys and an older checkpoint."""
    filled = sequenced(4)
    checkpoint = filled.checkpoint()
    assert checkpoint is not None
    (tmp_path / "note.txt").write_text(checkpoint.note)
    sequenced(4)
    (tmp_path / "evidence.json").write_bytes(export(filled))
    lines = [json.dumps({"schema": 1, "line": "key", **item}) for item in filled.keys.as_json()]
    (tmp_path / "keys.json").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No home, no database, nobody who listens."""
    monkeypatch.setenv("PRODSPRINTS_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PRODSPRINTS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("PRODSPRINTS_PORT", "1")


def verify(kept: Path, *more: str) -> int:
    return main(["evidence", "verify", str(kept / "evidence.json"), *more])


def test_an_auditor_verifies_offline_with_what_was_kept(offline: None, kept: Path, capsys: Shown) -> None:
    pinned = ("--keys", str(kept / "keys.json"), "--checkpoint", str(kept / "note.txt"))
    assert verify(kept, *pinned) == 0
    assert "All 9 entries are whole" in capsys.readouterr().out
    assert verify(kept, *pinned, "--json") == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["line"], line["holds"], line["size"], line["pinned_keys"]) == ("verification", True, 9, True)


def test_without_pins_it_is_said_what_that_does_not_show(offline: None, kept: Path, capsys: Shown) -> None:
    assert verify(kept) == 0
    shown = capsys.readouterr().out
    assert "--keys" in shown
    assert "cut off" in shown


def test_a_changed_bundle_is_refused_with_its_findings(offline: None, kept: Path, capsys: Shown) -> None:
    file = kept / "evidence.json"
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join(lines[:4] + lines[5:]))
    assert verify(kept, "--json") == 3
    line = json.loads(capsys.readouterr().out)
    assert [finding["kind"] for finding in line["findings"]] == ["deleted"]


@pytest.fixture
def serving(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, database: Database, sequencer: Sequencer
) -> Iterator[None]:
    monkeypatch.setenv("PRODSPRINTS_HOME", str(settings.home))
    monkeypatch.setenv("PRODSPRINTS_DATABASE_URL", database.address.conninfo)
    sequencer.start()
    yield
    sequencer.stop()


def test_a_key_is_rotated_and_revoked_by_who_has_the_home(
    serving: None,
    ledger: Ledger,
    database: Database,
    tenant: UUID,
    says: Callable[..., Statement],
    capsys: Shown,
) -> None:
    with database.dispatch() as connection:
        row = connection.execute("select name from tenants where id = %s", [tenant]).fetchone()
    assert row is not None
    ledger.wait(ledger.append(says(PredicateType.TEST_RESULT)))
    old = ledger.keys.current(Role.DRILL)
    assert old is not None
    assert main(["evidence", "rotate", "drill", "--tenant", row["name"], "--json"]) == 0
    new = json.loads(capsys.readouterr().out)
    assert new["id"] != old.id
    assert main(["evidence", "revoke", old.id, "--from", "1", "--tenant", row["name"]]) == 0
    assert "from entry 1 on" in capsys.readouterr().out
    assert [entry.index for entry in ledger.entries() if entry.statement.type is PredicateType.TEST_RESULT] == []
    assert main(["evidence", "revoke", "nobody", "--from", "1", "--tenant", row["name"]]) == 64
    assert main(["evidence", "rotate", "drill", "--tenant", "nobody"]) == 64
