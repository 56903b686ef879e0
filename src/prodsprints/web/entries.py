"""What the entries of a log say, as lines of a list and as facts of a page; read page by page, newest first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prodsprints.ledger.errors import KeyRevokedError
from prodsprints.ledger.log import Entry, Ledger
from prodsprints.ledger.statement import PredicateType
from prodsprints.register.standing import Standing
from prodsprints.web import words

PER_PAGE = 50
_LOOKED_AT_ONCE = 500
_LOOKED_THROUGH = 2_000
_MOST_FACTS = 200
_LONGEST_VALUE = 500

_KINDS = {
    PredicateType.TEST_RESULT: "Drill",
    PredicateType.ATTESTATION: "Attestation",
    PredicateType.ACCEPTANCE: "Acceptance",
    PredicateType.INCIDENT: "Incident",
    PredicateType.REVIEW: "Review",
    PredicateType.OPERATION: "Operation",
    PredicateType.DOCUMENT: "Document",
    PredicateType.KEYS: "Keys",
}
_ABOUT = {
    PredicateType.TEST_RESULT: ("variant",),
    PredicateType.ACCEPTANCE: ("risk",),
    PredicateType.INCIDENT: ("risk", "action"),
    PredicateType.REVIEW: ("kind",),
    PredicateType.OPERATION: ("action", "subject"),
    PredicateType.DOCUMENT: ("sha256",),
}
_OUTCOMES = frozenset({"held", "failed", "invalid", "none"})


@dataclass(frozen=True)
class Line:
    """One entry as a line of the list. `row` is empty where it speaks of none, `outcome` where it is no drill."""

    index: int
    at: datetime
    what: str
    row: str
    about: str
    environment: str
    outcome: str
    key_id: str

    @staticmethod
    def of(entry: Entry) -> Line:
        """What `entry` says, in short."""
        kind, said = entry.statement.type, said_of(entry)
        outcome = _text(said, "outcome")
        return Line(
            entry.index,
            entry.at,
            _KINDS[kind],
            _text(said, "row"),
            _about(kind, said),
            _text(said, "environment"),
            outcome if outcome in _OUTCOMES else "",
            entry.envelope.key_id,
        )

    def speaks_of(self, row: str, environment: str) -> bool:
        """Whether the entry is about that row (or the risk) and environment; an empty one is any."""
        about = {self.row, self.row.partition(".")[0], self.about.partition(" ")[0]}
        return (not row or row in about) and (not environment or self.environment == environment)


@dataclass(frozen=True)
class Lines:
    """A page of the list; `older` is where the next one begins (the entries before that index), 0 at the log's start.

    What is filtered is looked for in a bounded stretch of the log, and then among the entries that its rows remember: a
    page can be empty although older ones are not.
    """

    lines: tuple[Line, ...]
    older: int


def lines(
    ledger: Ledger,
    standing: Standing,
    *,
    before: int | None,
    row: str = "",
    environment: str = "",
    limit: int = PER_PAGE,
) -> Lines:
    """The newest entries before index `before` (None: of all) that speak of `row` and `environment`."""
    end = ledger.size() if before is None else min(before, ledger.size())
    found: list[Line] = []
    step = _LOOKED_AT_ONCE if row or environment else limit
    last = max(0, end - (_LOOKED_THROUGH if row or environment else limit))
    while end > last:
        begin = max(last, end - step)
        entries = [entry for entry in ledger.entries(after=begin - 1, limit=end - begin) if entry.index < end]
        for entry in reversed(entries):
            line = Line.of(entry)
            if line.speaks_of(row, environment):
                found.append(line)
                if len(found) == limit:
                    return Lines(tuple(found), line.index)
        end = begin
    remembered = [index for index in standing.evidence(row, environment) if index < end] if row and end else []
    older = lines_at(ledger, remembered[: limit - len(found)])
    return Lines((*found, *older), older[-1].index if older else end)


def lines_at(ledger: Ledger, indices: Iterable[int]) -> list[Line]:
    """The entries at `indices`, in that order; what a revoked key said is left out."""
    found = []
    for index in indices:
        with suppress(KeyRevokedError):
            found.append(Line.of(ledger.entry(index)))
    return found


def said_of(entry: Entry) -> Mapping[str, Any]:
    """The part of the predicate that says what this is about: a drill has a corner of its own in in-toto's."""
    predicate = entry.statement.predicate
    if entry.statement.type is PredicateType.TEST_RESULT:
        drill = predicate.get("drill")
        return drill if isinstance(drill, Mapping) else {}
    return predicate


def facts(entry: Entry, people: Mapping[str, str], *, besides: Collection[str] = ()) -> list[tuple[str, str]]:
    """What the statement says, by name; `people` are the names behind references that are still kept.

    What is shown in another way is left out, `besides` names it.
    """
    digest = "control digest of" if entry.statement.type is PredicateType.TEST_RESULT else "subject"
    found = [(f"{digest} {subject.name}", f"sha256:{subject.sha256}") for subject in entry.statement.subjects]
    for path, value in _flat("", entry.statement.predicate):
        name = path.removeprefix("drill.")
        if name.partition(".")[0] in besides:
            continue
        said = str(value)[:_LONGEST_VALUE]
        if name == "person":
            said = people.get(said, f"{said} (the name is not kept)")
        found.append((name.replace("_", " ").replace(".", " "), said or "–"))
        if len(found) == _MOST_FACTS:
            break
    return found


def _about(kind: PredicateType, said: Mapping[str, Any]) -> str:
    keys = said.get("keys")
    if kind is PredicateType.KEYS and isinstance(keys, list):
        return words.count(len(keys), "key")
    return " ".join(filter(None, (_text(said, name)[:40] for name in _ABOUT.get(kind, ()))))


def _flat(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list | tuple):
        if all(isinstance(one, str | int | float) for one in value):
            yield name, ", ".join(str(one) for one in value)
        else:
            for number, inner in enumerate(value, start=1):
                yield from _flat(f"{name}.{number}", inner)
    else:
        yield name, "" if value is None else value


def _text(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    return value[:120] if isinstance(value, str) else ""
