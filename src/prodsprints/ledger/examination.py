"""Examining a log, wherever its entries come from: every entry by itself, and all of them against what was signed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from prodsprints.ledger import merkle
from prodsprints.ledger.checkpoint import Checkpoint, leaf_data
from prodsprints.ledger.envelope import Envelope
from prodsprints.ledger.errors import EnvelopeError, KeyRevokedError, SignatureError, StatementError
from prodsprints.ledger.keys import Keys
from prodsprints.ledger.merkle import Frontier, Node

_MAX_FINDINGS = 100


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a log: what kind it is of, at which index it shows, and in words.

    Kinds: edited, deleted, reordered, truncated, forked, signature, key, replayed.
    """

    kind: str
    index: int | None
    sentence: str


@dataclass(frozen=True)
class Report:
    """What an examination came to. `revoked` entries are whole, but were said by a key that was revoked before."""

    size: int
    findings: tuple[Finding, ...]
    revoked: int = 0

    @property
    def holds(self) -> bool:
        """True if nothing is wrong."""
        return not self.findings

    def __str__(self) -> str:
        if self.findings:
            return self.findings[0].sentence
        revoked = f"; {self.revoked} of them said by revoked keys" if self.revoked else ""
        return f"All {self.size} entries are whole, in order, and as they were signed{revoked}."


@dataclass(frozen=True)
class Examined:
    """One entry: its leaf and its statement's digest as they follow from its content, and what is wrong with it."""

    leaf: bytes
    digest: bytes
    finding: Finding | None = None
    revoked: bool = False


def examine(keys: Keys, index: int, at: datetime, envelope_text: bytes) -> Examined:
    """Look at one entry by itself."""
    try:
        envelope = Envelope.from_bytes(envelope_text)
    except EnvelopeError as error:
        return Examined(_leaf(at, envelope_text), b"", Finding("edited", index, f"Entry {index}: {error.what}"))
    return examine_envelope(keys, index, at, envelope, envelope_text)


def examine_envelope(keys: Keys, index: int, at: datetime, envelope: Envelope, text: bytes) -> Examined:
    """The same where the envelope was read before; `text` is its one spelling."""
    leaf, digest = _leaf(at, text), hashlib.sha256(envelope.payload).digest()
    try:
        keys.opened(envelope, index)
    except SignatureError as error:
        return Examined(leaf, digest, Finding(error.kind, index, error.what))
    except StatementError as error:
        return Examined(leaf, digest, Finding("edited", index, f"Entry {index}: {error.what}"))
    except KeyRevokedError:
        return Examined(leaf, digest, revoked=True)
    return Examined(leaf, digest)


def _leaf(at: datetime, envelope_text: bytes) -> bytes:
    return merkle.leaf_hash(leaf_data(at, hashlib.sha256(envelope_text).digest()))


class Walk:
    """Goes through a log from its first entry to its last, and compares the root at each checkpoint that is known.

    `known` are (who says so, checkpoint); they may contradict each other, which is then found.
    """

    def __init__(self, known: Iterable[tuple[str, Checkpoint]]) -> None:
        self.findings: list[Finding] = []
        self.size = 0
        self._known: dict[int, list[tuple[str, Checkpoint]]] = {}
        self._last: tuple[str, Checkpoint] | None = None
        for who, checkpoint in known:
            self._known.setdefault(checkpoint.size, []).append((who, checkpoint))
            if self._last is None or checkpoint.size > self._last[1].size:
                self._last = (who, checkpoint)
        self._frontier: Frontier | None = Frontier()
        self._seen: dict[bytes, int] = {}
        self._at: datetime | None = None
        self._order: int | None = None
        self._disorder: int | None = None
        self._revoked = 0

    def take(self, index: int, at: datetime, entry: Examined, *, order: int | None = None) -> list[Node]:
        """The next entry; `order` is a number that grew when statements were stored. Returns the subtrees it filled."""
        if index != self.size:
            self._find("deleted", self.size, f"Entry {self.size} is missing.")
            self._frontier = None
        self.size = index + 1
        self._revoked += entry.revoked
        if entry.finding is not None:
            self.findings.append(entry.finding)
        if entry.digest and self._seen.setdefault(entry.digest, index) != index:
            self._find("replayed", index, f"Entry {index} says again what entry {self._seen[entry.digest]} said.")
        self._look_at_order(index, at, order)
        if self._frontier is None:
            return []
        filled = self._frontier.append(entry.leaf)
        if self.size in self._known:
            self._compare(self._known[self.size], self._frontier.root())
        return filled

    def report(self) -> Report:
        """What came out, once the last entry was taken."""
        if self._last is not None and self._last[1].size > self.size:
            who, checkpoint = self._last
            self._find(
                "truncated", self.size, f"The log ends at {self.size}; {who} has seen {checkpoint.size} entries."
            )
        elif self._last is not None and self._last[1].size < self.size:
            # no root holds these fast: some of them could have been left out, or have changed places
            behind = self._last[1].size
            self._find("forked", behind, f"Entry {behind} stands behind the newest checkpoint.")
        return Report(self.size, tuple(self.findings[:_MAX_FINDINGS]), self._revoked)

    def _look_at_order(self, index: int, at: datetime, order: int | None) -> None:
        if self._at is not None and at < self._at:
            self._find("reordered", index, f"Entry {index} is older than the one before it.")
        if order is not None and self._order is not None and order < self._order and at == self._at:
            self._disorder = index if self._disorder is None else self._disorder
        self._at, self._order = at, order

    def _compare(self, known: list[tuple[str, Checkpoint]], root: bytes) -> None:
        for who, checkpoint in known:
            if hmac.compare_digest(root, checkpoint.root):
                continue
            self._frontier = None  # every later root differs as well
            if self._disorder is not None:
                self._find("reordered", self._disorder, f"Entry {self._disorder} does not stand where it stood.")
            else:
                self._find("forked", self.size - 1, f"The log up to {self.size} is not the one that {who} has seen.")
            return

    def _find(self, kind: str, index: int | None, sentence: str) -> None:
        self.findings.append(Finding(kind, index, sentence))
