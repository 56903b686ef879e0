"""Bundles: a log, or some of its entries, as one file that can be verified without server, database or network.

The file is JSON, and has one entry per line, so that a large one is read line by line and by several processes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prodsprints.ledger import merkle
from prodsprints.ledger.checkpoint import Checkpoint
from prodsprints.ledger.envelope import Envelope
from prodsprints.ledger.errors import BundleError, EnvelopeError, SignatureError
from prodsprints.ledger.examination import Examined, Finding, Report, Walk, examine, examine_envelope
from prodsprints.ledger.keys import Key, Keys

if TYPE_CHECKING:
    from prodsprints.ledger.log import Ledger
    from prodsprints.ledger.reading import StoredEntry

MAX_BYTES = 2 * 1024**3
KIND = "prodsprints-evidence"
_MAX_LINE_BYTES = 262_144
_MAX_HEAD_BYTES = 1_048_576
_MAX_PROOF = 64
_END = b"]}"
_CHUNK = 2_000
_WORTH_PROCESSES = 10_000
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # a leaf counts microseconds from there


def export(ledger: Ledger, *, indices: Iterable[int] | None = None) -> bytes:
    """The whole log, or the entries at `indices` each with its proof, as they are stored: a tampered one, too.

    Raises NoSuchEntryError.
    """
    checkpoint, entries = ledger.stored(indices)
    head = {
        "schema": 1,
        "kind": KIND,
        "tenant": str(ledger.tenant_id),
        "whole": indices is None,
        "checkpoint": None if checkpoint is None else checkpoint.note,
        "keys": ledger.keys.as_json(),
    }
    opening = json.dumps(head, ensure_ascii=False)[:-1] + ', "entries": ['
    lines = [_line(entry) for entry in entries]
    return b"\n".join([opening.encode(), *_with_commas(lines), _END, b""])


def verify_bundle(
    bundle: bytes, *, keys: Iterable[Key] | None, checkpoint: Checkpoint | None = None, processes: int | None = None
) -> Report:
    """Go through an exported log; offline. Pin what you know from elsewhere: the keys, and an older checkpoint.

    Without `keys` those in the file are taken, which shows that it is whole, but not who made it. Raises BundleError
    for what is no bundle; everything that is wrong with one is in the report. `processes` is by default one per core.
    """
    if len(bundle) > MAX_BYTES:
        raise _refused(f"it has more than {MAX_BYTES} bytes")
    opening, _, rest = bundle.partition(b"\n")
    head = _Head.parse(opening)
    lines = rest.split(b"\n")
    if lines[-2:] != [_END, b""]:
        raise _refused("its end is missing: it was cut off")
    entries = [line.removesuffix(b",") for line in lines[:-2]]
    trusted = head.keys if keys is None else Keys(head.tenant_id, tuple(keys))
    known = [("the bundle's checkpoint", one) for one in (head.checkpoint,) if one is not None]
    if checkpoint is not None:
        known.append(("the pinned checkpoint", checkpoint))
    findings = list(_wrongly_signed((one for _, one in known), trusted))
    if head.whole:
        return _walk(_examined(entries, trusted, processes), known, findings)
    return _prove(_examined(entries, trusted, processes), head.checkpoint, checkpoint, findings)


@dataclass(frozen=True)
class _Head:
    tenant_id: UUID
    whole: bool
    checkpoint: Checkpoint | None
    keys: Keys

    @staticmethod
    def parse(opening: bytes) -> _Head:
        if not opening.endswith(b"[") or len(opening) > _MAX_HEAD_BYTES:
            raise _refused("it does not begin like one")
        match _json(opening + _END):
            case {
                "schema": 1,
                "kind": kind,
                "tenant": str(tenant),
                "whole": bool(whole),
                "checkpoint": note,
                "keys": list(keys),
            } if kind == KIND and (note is None or isinstance(note, str)):
                try:
                    tenant_id = UUID(tenant)
                except ValueError:
                    raise _refused("it names no tenant") from None
                checkpoint = None if note is None else Checkpoint.parse(note)
                return _Head(tenant_id, whole, checkpoint, Keys.from_json(tenant_id, keys))
        raise _refused("it does not begin like one")


def _line(entry: StoredEntry) -> bytes:
    try:
        Envelope.from_bytes(entry.envelope)
        envelope = entry.envelope
    except EnvelopeError:  # tampered with; what is there is kept as it is
        envelope = json.dumps(base64.b64encode(entry.envelope).decode()).encode()
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    proof = (
        b""
        if entry.proof is None
        else b', "proof": %s' % json.dumps([base64.b64encode(hash).decode() for hash in entry.proof]).encode()
    )
    return b'{"index": %d, "at": "%s", "envelope": %s%s}' % (entry.index, at.encode(), envelope, proof)


def _with_commas(lines: list[bytes]) -> Iterator[bytes]:
    for number, line in enumerate(lines, start=1):
        yield line + b"," if number < len(lines) else line


def _walk(lines: Iterator[_ExaminedLine], known: list[tuple[str, Checkpoint]], findings: list[Finding]) -> Report:
    walk = Walk(known)
    walk.findings += findings
    for line in lines:
        walk.take(line.index, line.at, line.entry)
    if walk.size and not known:
        walk.findings.append(Finding("deleted", None, "The bundle has entries and no checkpoint."))
    return walk.report()


def _prove(
    lines: Iterator[_ExaminedLine], own: Checkpoint | None, pinned: Checkpoint | None, findings: list[Finding]
) -> Report:
    if own is None:
        raise _refused("it has some of a log's entries, and no checkpoint that they could be proven against")
    if pinned is not None and pinned.size != own.size:
        raise _refused(
            f"it has some entries of the log at {own.size}, and cannot be compared with a checkpoint at {pinned.size}",
            "Export the whole log, or pin the checkpoint of that size.",
        )
    if pinned is not None and not hmac.compare_digest(pinned.root, own.root):
        findings.append(Finding("forked", own.size - 1, "The log is not the one of the pinned checkpoint."))
    count = revoked = 0
    for count, line in enumerate(lines, start=1):  # noqa: B007 - counted
        revoked += line.entry.revoked
        if line.entry.finding is not None:
            findings.append(line.entry.finding)
        elif not merkle.verify_inclusion(line.entry.leaf, line.index, own.size, line.proof, own.root):
            findings.append(Finding("edited", line.index, f"Entry {line.index} is not what the log has there."))
    return Report(count, tuple(findings), revoked)


@dataclass(frozen=True)
class _ExaminedLine:
    index: int
    at: datetime
    entry: Examined
    proof: tuple[bytes, ...]


def _examined(entries: list[bytes], keys: Keys, processes: int | None) -> Iterator[_ExaminedLine]:
    """Every line, in order; signatures are what takes the time, so a long file is shared by the machine's cores."""
    chunks = (entries[at : at + _CHUNK] for at in range(0, len(entries), _CHUNK))
    count = processes or os.cpu_count() or 1
    if len(entries) < _WORTH_PROCESSES or count == 1:
        for chunk in chunks:
            yield from _examine_lines(keys, chunk)
        return
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        while some := list(islice(chunks, 8 * count)):  # so many at a time, to hold only their results in memory
            for part in pool.map(_examine_lines, [keys] * len(some), some):
                yield from part


def _examine_lines(keys: Keys, lines: list[bytes]) -> list[_ExaminedLine]:
    return [_examine_line(keys, line) for line in lines]


def _examine_line(keys: Keys, line: bytes) -> _ExaminedLine:
    if len(line) > _MAX_LINE_BYTES:
        raise _refused("a line of it is too long")
    document = _json(line)
    match document:
        case {"index": int(index), "at": str(at), "envelope": envelope} if 0 <= index < 2**62:
            try:
                moment = datetime.fromisoformat(at)
            except ValueError:
                raise _refused("an entry of it has no time") from None
            if moment.tzinfo is None or moment < _EARLIEST:
                raise _refused("an entry of it has no time")
            entry = _examined_envelope(keys, index, moment, envelope)
            return _ExaminedLine(index, moment, entry, _proof(document.get("proof")))
    raise _refused("a line of it is no entry")


def _examined_envelope(keys: Keys, index: int, at: datetime, envelope: Any) -> Examined:
    if isinstance(envelope, str):
        return examine(keys, index, at, _decoded(envelope))
    try:
        read = Envelope.from_json(envelope)
    except EnvelopeError as error:
        return Examined(merkle.EMPTY_ROOT, b"", Finding("edited", index, f"Entry {index}: {error.what}"))
    return examine_envelope(keys, index, at, read, read.to_bytes())


def _proof(hashes: Any) -> tuple[bytes, ...]:
    if hashes is None:
        return ()
    if not isinstance(hashes, list) or len(hashes) > _MAX_PROOF or not all(isinstance(one, str) for one in hashes):
        raise _refused("a proof in it is none")
    return tuple(_decoded(one) for one in hashes)


def _wrongly_signed(checkpoints: Iterable[Checkpoint], keys: Keys) -> Iterator[Finding]:
    for checkpoint in checkpoints:
        try:
            checkpoint.verify(keys)
        except SignatureError as error:
            yield Finding(error.kind, checkpoint.size - 1, error.what)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text.decode())
    except (ValueError, RecursionError):
        raise _refused("a part of it is not JSON") from None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refused("a part of it is not base64") from None


def _refused(reason: str, next_step: str = "Export it again: `prodsprints evidence export`.") -> BundleError:
    return BundleError(f"The file is no bundle of evidence: {reason}.", next_step=next_step)
