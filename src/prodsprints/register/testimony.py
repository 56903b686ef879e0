"""What one statement of the ledger says about the register, read with suspicion."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prodsprints.ledger.log import Entry
from prodsprints.ledger.statement import PredicateType, Statement

_ROW = re.compile(r"([A-Z]{1,8}[0-9]{1,5})\.[0-9]{1,3}")
_RISK = re.compile(r"[A-Z]{1,8}[0-9]{1,5}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_WORD = 120
PEER_CLASSES = ("service", "engine", "double")
"""What a drill can have run against, the most telling first."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What every statement has: its place in the log, when it was made, its nonce, and where it holds."""

    index: int
    at: float
    nonce: str
    environment: str


@dataclass(frozen=True, slots=True)
class Verdict(Spoken):
    """A drill that ended with `held`, `failed`, or `invalid`: it proves nothing, since its placebo held too.

    `placebo_of` is the scratch drill whose placebo arm speaks for this one too, where only the treatment may be run.
    """

    row: str
    variant: str
    outcome: str
    digest: str
    experiment: str
    peer_class: str
    placebo_of: int | None


@dataclass(frozen=True, slots=True)
class Unusable(Spoken):
    """A drill's evidence that contradicts itself or cannot be understood: it makes its row invalid."""

    row: str
    variant: str
    why: str


@dataclass(frozen=True, slots=True)
class Attestation(Spoken):
    """A person signed that a row is held, until it expires."""

    row: str
    person: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Acceptance(Spoken):
    """A person accepted a risk as it is, until it expires."""

    risk: str
    person: str
    reason_sha256: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class IncidentWord(Spoken):
    """An incident was declared, linked to the rows' variant that reproduces it, or closed."""

    incident: str
    action: str
    risk: str
    rows: tuple[str, ...]
    variant: str


@dataclass(frozen=True, slots=True)
class ReviewWord(Spoken):
    """A review was held: of which kind, and the one that was due on which day."""

    kind: str
    due: str
    person: str


@dataclass(frozen=True, slots=True)
class DocumentWord(Spoken):
    """The tenant's risk document was imported; `digest` is that of the statement itself."""

    digest: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A statement that counts for nothing here, and why."""

    index: int
    why: str


Testimony = Verdict | Unusable | Attestation | Acceptance | IncidentWord | ReviewWord | DocumentWord | Ignored | None


class _NotUnderstoodError(Exception):
    """A part of a predicate is missing or of the wrong kind."""


def read(entry: Entry, tenant: str) -> Testimony:
    """What `entry` says about the register of `tenant`; None if it says nothing about one (a platform's own statement).

    When it was said: when the log received it, or the earlier moment at which its drill says to have ended, so that
    evidence that was held back, or is brought up again, is as old as it is.
    """
    statement = entry.statement
    reader = _READERS.get(statement.type)
    if reader is None:
        return None
    index = entry.index
    try:
        if _said(statement).get("tenant") != tenant:
            return Ignored(index, "it speaks for another tenant.")
        return reader(index, entry.at.timestamp(), statement)
    except _NotUnderstoodError as problem:
        return _unusable(entry, statement, str(problem))


def risk_of(row: str) -> str:
    """The risk that a row belongs to: `R001` of `R001.2`."""
    return row.partition(".")[0]


def _said(statement: Statement) -> Mapping[str, Any]:
    # a drill speaks in its own corner of in-toto's predicate
    if statement.type is PredicateType.TEST_RESULT:
        return _mapping(statement.predicate, "drill")
    return statement.predicate


def _unusable(entry: Entry, statement: Statement, why: str) -> Unusable | Ignored:
    named = statement.subjects[0].name if statement.subjects else ""
    if statement.type is not PredicateType.TEST_RESULT or not _ROW.fullmatch(named):
        return Ignored(entry.index, why)
    drill = statement.predicate.get("drill")
    said = drill if isinstance(drill, Mapping) else {}
    environment, variant, nonce = (
        value if isinstance(value := said.get(key), str) else "" for key in ("environment", "variant", "nonce")
    )
    if not environment:
        return Ignored(entry.index, why)
    return Unusable(entry.index, entry.at.timestamp(), nonce, environment, named, variant, why)


def _verdict(index: int, at: float, statement: Statement) -> Verdict:
    predicate = statement.predicate
    drill = _mapping(predicate, "drill")
    row, outcome = _text(drill, "row", _ROW), _text(drill, "outcome")
    if len(statement.subjects) != 1 or statement.subjects[0].name != row:
        raise _NotUnderstoodError("its subject is another row than the one that was drilled.")
    result = {"held": "PASSED", "failed": "FAILED", "invalid": "FAILED"}.get(outcome)
    if result is None:
        raise _NotUnderstoodError(f"its outcome {outcome[:20]!r} is none that a drill can have.")
    if predicate.get("result") != result or (outcome == "held" and predicate.get("failedTests")):
        raise _NotUnderstoodError(f"its result contradicts its outcome, {outcome}.")
    return Verdict(
        index=index,
        at=min(at, _moment(drill, "finished_at")),
        nonce=_text(drill, "nonce"),
        environment=_text(drill, "environment"),
        row=row,
        variant=_text(drill, "variant"),
        outcome=outcome,
        digest=statement.subjects[0].sha256,
        experiment=_text(drill, "experiment", _SHA256),
        peer_class=_least_telling(drill.get("peers")),
        placebo_of=_earlier(drill.get("placebo_of"), index),
    )


def _earlier(named: object, index: int) -> int | None:
    if named is None:
        return None
    if type(named) is not int or not 0 <= named < index:
        raise _NotUnderstoodError("the drill whose placebo it links is not before it in the log.")
    return named


def _least_telling(peers: object) -> str:
    if not isinstance(peers, list) or not peers:
        raise _NotUnderstoodError("it names no peer.")
    classes = [_text(peer, "class") for peer in peers if isinstance(peer, Mapping)]
    if len(classes) != len(peers) or not set(classes) <= set(PEER_CLASSES):
        raise _NotUnderstoodError("it names a peer of no known class.")
    return max(classes, key=PEER_CLASSES.index)


def _attestation(index: int, at: float, statement: Statement) -> Attestation:
    said = statement.predicate
    return Attestation(
        *_spoken(index, at, said), _text(said, "row", _ROW), _text(said, "person"), _moment(said, "expires_at")
    )


def _acceptance(index: int, at: float, statement: Statement) -> Acceptance:
    said = statement.predicate
    return Acceptance(
        *_spoken(index, at, said),
        _text(said, "risk", _RISK),
        _text(said, "person"),
        _text(said, "reason_sha256", _SHA256),
        _moment(said, "expires_at"),
    )


def _incident(index: int, at: float, statement: Statement) -> IncidentWord:
    said = statement.predicate
    action, risk, rows = _text(said, "action"), _text(said, "risk", _RISK), said.get("rows")
    if action not in ("declared", "linked", "closed"):
        raise _NotUnderstoodError(f"{action[:20]!r} is nothing that is done with an incident.")
    if not isinstance(rows, list) or not all(isinstance(row, str) and _ROW.fullmatch(row) for row in rows):
        raise _NotUnderstoodError("its rows are none.")
    if any(risk_of(row) != risk for row in rows):
        raise _NotUnderstoodError("it names a row of another risk.")
    variant = _text(said, "variant") if action == "linked" else ""
    return IncidentWord(*_spoken(index, at, said), _text(said, "incident"), action, risk, tuple(rows), variant)


def _review(index: int, at: float, statement: Statement) -> ReviewWord:
    said = statement.predicate
    # a review is of the register, not of one environment
    return ReviewWord(
        index, at, _text(said, "nonce"), "", _text(said, "kind"), _text(said, "due"), _text(said, "person")
    )


def _document(index: int, at: float, statement: Statement) -> DocumentWord:
    # a document is the register of every environment
    # its nonce is told apart from people's: whoever reuses one of those must not silence an import
    return DocumentWord(index, at, f"document {_text(statement.predicate, 'nonce')}", "", statement.digest)


def _spoken(index: int, at: float, said: Mapping[str, Any]) -> tuple[int, float, str, str]:
    return index, at, _text(said, "nonce"), _text(said, "environment")


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = value.get(key)
    if not isinstance(inner, Mapping):
        raise _NotUnderstoodError(f"it has no `{key}`.")
    return inner


def _text(value: Mapping[str, Any], key: str, pattern: re.Pattern[str] | None = None) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_WORD or (pattern and not pattern.fullmatch(text)):
        raise _NotUnderstoodError(f"its `{key}` is missing, or is none.")
    return text


def _moment(value: Mapping[str, Any], key: str) -> float:
    try:
        moment = datetime.fromisoformat(_text(value, key))
    except ValueError:
        raise _NotUnderstoodError(f"its `{key}` is no moment.") from None
    if moment.tzinfo is None:
        raise _NotUnderstoodError(f"its `{key}` has no zone.")
    return moment.timestamp()


_READERS: Mapping[PredicateType, Callable[[int, float, Statement], Testimony]] = {
    PredicateType.TEST_RESULT: _verdict,
    PredicateType.ATTESTATION: _attestation,
    PredicateType.ACCEPTANCE: _acceptance,
    PredicateType.INCIDENT: _incident,
    PredicateType.REVIEW: _review,
    PredicateType.DOCUMENT: _document,
}
