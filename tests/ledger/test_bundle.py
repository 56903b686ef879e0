"""Bundles: verified by whoever has the file and knows the keys, and nothing but the report says otherwise."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.ledger.bundle import export, verify_bundle
from prodsprints.ledger.checkpoint import Checkpoint
from prodsprints.ledger.errors import BundleError, NoSuchEntryError
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Key
from prodsprints.ledger.log import Ledger
from prodsprints.store.embedded import EmbeddedPostgres

SIZE = 12


@pytest.fixture
def filled(sequenced: Callable[[int], Ledger]) -> Ledger:
    return sequenced(SIZE - 1)


@pytest.fixture
def keys(filled: Ledger) -> tuple[Key, ...]:
    return filled.keys.keys


@pytest.fixture
def whole(filled: Ledger) -> bytes:
    return export(filled)


def kinds(bundle: bytes, keys: tuple[Key, ...], checkpoint: Checkpoint | None = None) -> set[str]:
    return {finding.kind for finding in verify_bundle(bundle, keys=keys, checkpoint=checkpoint).findings}


def lines(bundle: bytes) -> list[bytes]:
    return bundle.split(b"\n")


def with_entries(bundle: bytes, entries: list[bytes]) -> bytes:
    head, *_, end, last = lines(bundle)
    bare = [entry.removesuffix(b",") for entry in entries]
    return b"\n".join([head, *[entry + b"," for entry in bare[:-1]], *bare[-1:], end, last])


def test_the_whole_log_verifies_and_is_plain_json(whole: bytes, keys: tuple[Key, ...], filled: Ledger) -> None:
    report = verify_bundle(whole, keys=keys, checkpoint=filled.checkpoint())
    assert (report.holds, report.size) == (True, SIZE)
    assert str(report) == f"All {SIZE} entries are whole, in order, and as they were signed."
    document = json.loads(whole)
    assert len(document["entries"]) == SIZE
    said = json.loads(base64.b64decode(document["entries"][3]["envelope"]["payload"]))
    assert said["_type"] == "https://in-toto.io/Statement/v1"


def test_it_continues_every_checkpoint_that_anybody_kept(
    sequenced: Callable[[int], Ledger], filled: Ledger, keys: tuple[Key, ...]
) -> None:
    kept = filled.checkpoint()
    sequenced(6)
    assert verify_bundle(export(filled), keys=keys, checkpoint=kept).holds


def test_some_entries_verify_by_their_proofs(filled: Ledger, keys: tuple[Key, ...]) -> None:
    some = export(filled, indices=[7, 2, 2])
    report = verify_bundle(some, keys=keys, checkpoint=filled.checkpoint())
    assert (report.holds, report.size) == (True, 2)
    entries = lines(some)[1:-2]
    assert kinds(with_entries(some, [entries[0].replace(b'"index": 2', b'"index": 3'), entries[1]]), keys) == {"edited"}
    assert kinds(with_entries(some, [entries[0].replace(b'"proof": ["', b'"proof": ["AAAA')]), keys) == {"edited"}


def test_some_entries_cannot_be_compared_with_a_checkpoint_of_another_size(
    sequenced: Callable[[int], Ledger], filled: Ledger, keys: tuple[Key, ...]
) -> None:
    kept = filled.checkpoint()
    sequenced(2)
    with pytest.raises(BundleError, match="Export the whole log"):
        verify_bundle(export(filled, indices=[1]), keys=keys, checkpoint=kept)


def test_an_entry_that_there_is_not_cannot_be_exported(filled: Ledger) -> None:
    with pytest.raises(NoSuchEntryError):
        export(filled, indices=[1, 99])


def test_an_empty_log_is_exported_and_verified(database: Any, keyring: Keyring, tenant: UUID) -> None:
    bundle = export(Ledger(database, tenant, keyring))
    assert verify_bundle(bundle, keys=None).holds


def changed(line: bytes, change: Callable[[Any], Any]) -> bytes:
    document = json.loads(line.removesuffix(b","))
    change(document)
    return json.dumps(document).encode()


def edited(entries: list[bytes], change: Callable[[Any], Any]) -> list[bytes]:
    return [*entries[:4], changed(entries[4], change), *entries[5:]]


def said_again(entries: list[bytes]) -> list[bytes]:
    return [*entries[:5], changed(entries[4], lambda one: one.update(index=5)), *entries[6:]]


def another_signature(entry: Any) -> None:
    entry["envelope"]["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()


def another_statement(entry: Any) -> None:
    payload = base64.b64decode(entry["envelope"]["payload"])
    entry["envelope"]["payload"] = base64.b64encode(payload.replace(b'"number":', b'"number":1')).decode()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda entries: entries[:3] + entries[4:], "deleted"),
        (lambda entries: entries[:-2], "truncated"),
        (lambda _: [], "truncated"),
        (lambda entries: edited(entries, another_signature), "signature"),
        (lambda entries: edited(entries, another_statement), "signature"),
        (lambda entries: edited(entries, lambda one: one.update(at="2026-01-01T00:00:00Z")), "reordered"),
        (lambda entries: edited(entries, lambda one: one.update(envelope="bm9uZQ==")), "edited"),
        (said_again, "replayed"),
        (
            lambda entries: [
                *entries[:-2],
                changed(entries[-1], lambda one: one.update(index=SIZE - 2)),
                changed(entries[-2], lambda one: one.update(index=SIZE - 1)),
            ],
            "forked",
        ),
    ],
    ids=["deleted", "end cut off", "emptied", "signature", "statement", "time", "no envelope", "replayed", "swapped"],
)  # fmt: skip
def test_each_way_to_change_a_bundle_is_found(
    change: Callable[[list[bytes]], list[bytes]], found: str, whole: bytes, keys: tuple[Key, ...]
) -> None:
    assert found in kinds(with_entries(whole, change(lines(whole)[1:-2])), keys)


def test_a_log_that_was_cut_off_before_the_export_shows_by_the_kept_checkpoint(
    filled: Ledger, keys: tuple[Key, ...], sequenced: Callable[[int], Ledger], postgres: EmbeddedPostgres, tenant: UUID
) -> None:
    sequenced(5)
    kept = filled.checkpoint()
    with psycopg.connect(postgres.admin_address().conninfo) as owner:
        for table, size in (("entries where index >=", SIZE), ("checkpoints where size >", SIZE)):
            owner.execute(f"delete from ledger_{table} {size} and tenant_id = %s".encode(), [tenant])
    cut = export(filled)
    assert kinds(cut, keys) == set()
    assert kinds(cut, keys, kept) == {"truncated"}


def test_a_tampered_log_can_still_be_exported_and_says_so(
    filled: Ledger, keys: tuple[Key, ...], postgres: EmbeddedPostgres, tenant: UUID
) -> None:
    with psycopg.connect(postgres.admin_address().conninfo) as owner:
        owner.execute(
            "update ledger_statements set envelope = 'nonsense' where id ="
            " (select statement_id from ledger_entries where tenant_id = %s and index = 4)",
            [tenant],
        )
    assert kinds(export(filled), keys) == {"edited", "forked"}


def test_with_another_homes_keys_everything_is_foreign(whole: bytes, tenant: UUID, tmp_path: Path) -> None:
    others = Keyring.open(tmp_path)
    others.create(tenant)
    assert kinds(whole, others.keys(tenant).keys) == {"key"}


def test_many_entries_are_shared_by_processes_and_found_the_same(
    whole: bytes, keys: tuple[Key, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from prodsprints.ledger import bundle

    monkeypatch.setattr(bundle, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(bundle, "_CHUNK", 5)
    assert verify_bundle(whole, keys=keys, processes=2) == verify_bundle(whole, keys=keys, processes=1)
    damaged = whole.replace(b'"index": 7', b'"index": 8')
    assert verify_bundle(damaged, keys=keys, processes=2) == verify_bundle(damaged, keys=keys, processes=1)


def test_verification_needs_no_database_driver_and_no_network() -> None:
    script = (
        "import sys, prodsprints.ledger.bundle\n"
        "print([name for name in ('psycopg', 'httpx', 'sqlalchemy', 'dbos') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"{}",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: whole[whole.index(b"\n") :],
        lambda whole: whole.replace(b'"schema": 1', b'"schema": 2'),
        lambda whole: whole.replace(b"prodsprints-evidence", b"something"),
        lambda whole: whole.replace(b'"tenant": "', b'"tenant": "x'),
        lambda whole: whole.replace(b'"role": "log"', b'"role": "king"'),
        lambda whole: whole.replace(b'"index": 3', b'"index": -3'),
        lambda whole: whole.replace(b'"index": 3', b'"index": "3"'),
        lambda whole: whole.replace(b'"at": "', b'"at": "x'),
        lambda whole: whole.replace(b"urn:prodsprints:log", b"urn:else"),
        lambda _: b"[" * 100_000 + b"\n]}\n",
        lambda whole: whole.replace(b'"envelope": {', b'"envelope": ' + b"[" * 300_000, 1),
    ],
)  # fmt: skip
def test_what_is_no_bundle_is_refused(damage: Callable[[bytes], bytes], whole: bytes, keys: tuple[Key, ...]) -> None:
    with pytest.raises(BundleError):
        verify_bundle(damage(whole), keys=keys)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(seed=st.integers())
def test_a_bundle_with_any_byte_changed_is_refused_or_found_or_says_the_same(
    seed: int, whole: bytes, keys: tuple[Key, ...]
) -> None:
    lots = random.Random(seed)  # noqa: S311 - seeded on purpose
    at = lots.randrange(len(whole))
    damaged = whole[:at] + bytes([lots.randrange(256)]) + whole[at + 1 :]
    try:
        holds = verify_bundle(damaged, keys=keys).holds
    except ProdSprintsError:
        return
    assert not holds or _said(damaged) == _said(whole)


def _said(bundle: bytes) -> list[Any]:
    """What a reader of the file relies on: the entries. Which of its keys are listed is decided by the pinned ones."""
    return [(entry["index"], entry["envelope"]["payload"]) for entry in json.loads(bundle)["entries"]]


@given(st.binary(max_size=300))
def test_any_bytes_end_in_our_words(content: bytes) -> None:
    with pytest.raises(ProdSprintsError):
        verify_bundle(content, keys=None)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_an_entry_from_before_all_time_is_refused_in_our_words(whole: bytes, keys: tuple[Key, ...], at: str) -> None:
    head, first, *others = lines(whole)
    document = json.loads(first.removesuffix(b","))
    bundle = b"\n".join([head, json.dumps({**document, "at": at}).encode() + b",", *others])
    with pytest.raises(BundleError, match="has no time"):
        verify_bundle(bundle, keys=keys)


@pytest.mark.parametrize("name", ["\ud800", "\x1b[31m", "a b", "\u202e", "x" * 65])
def test_a_foreign_keys_name_that_no_terminal_should_see_is_not_repeated(
    whole: bytes, keys: tuple[Key, ...], name: str
) -> None:
    head, first, *others = lines(whole)
    document = json.loads(first.removesuffix(b","))
    document["envelope"]["signatures"][0]["keyid"] = name
    bundle = b"\n".join([head, json.dumps(document).encode() + b",", *others])
    report = verify_bundle(bundle, keys=keys)
    assert not report.holds
    assert all(finding.sentence.isprintable() and name not in finding.sentence for finding in report.findings)


def test_entries_behind_the_newest_checkpoint_are_held_by_nothing(
    sequenced: Callable[[int], Ledger], filled: Ledger, keys: tuple[Key, ...]
) -> None:
    old = filled.checkpoint()
    assert old is not None
    newer = sequenced(6)
    head, *_ = lines(export(newer))
    opening = json.loads(head + b"]}")
    earlier = json.dumps({**opening, "checkpoint": old.note, "entries": []}, ensure_ascii=False)[:-2].encode()
    entries = lines(export(newer))[1:-2]
    without_one = [
        *entries[: SIZE + 1],
        *[changed(line, lambda one: one.update(index=one["index"] - 1)) for line in entries[SIZE + 2 :]],
    ]
    forged = with_entries(b"\n".join([earlier, *lines(export(newer))[1:]]), without_one)
    assert kinds(forged, keys) == {"forked"}
    assert kinds(forged, keys, old) == {"forked"}


def test_a_key_with_a_name_of_foreign_letters_is_none(whole: bytes) -> None:
    head, *rest = lines(whole)
    document = json.loads(head + b"]}")
    document["keys"][0]["id"] = "ключ"
    forged = json.dumps({**document, "entries": []}, ensure_ascii=False)[:-2].encode()
    with pytest.raises(BundleError, match="public key"):
        verify_bundle(b"\n".join([forged, *rest]), keys=None)
