"""A tenant's log in memory for tests of the register: statements as the drills and the people's commands write them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from prodsprints.ledger.envelope import Envelope
from prodsprints.ledger.log import Entry
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.register.standing import Standing, fold

TENANT = "11111111-1111-4111-8111-111111111111"
BEGIN = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

_nonces = itertools.count()


def sha(word: str) -> str:
    """A digest for `word`, told apart at a glance."""
    return word.encode().hex().ljust(64, "0")[:64]


def drill(
    outcome: str = "held",
    *,
    row: str = "R001.1",
    variant: str = "storm",
    digest: str = "a",
    experiment: str = "x",
    environment: str = "demo",
    tenant: str = TENANT,
    at: datetime = BEGIN,
    nonce: str | None = None,
    **changes: Any,
) -> Statement:
    """What a drill writes."""
    said = {
        "tenant": tenant,
        "environment": environment,
        "row": row,
        "variant": variant,
        "outcome": outcome,
        "experiment": sha(experiment),
        "safety": "safe",
        "peers": [{"name": "moto server", "version": "5.2.5", "class": "double"}],
        "started_at": at.isoformat(),
        "finished_at": at.isoformat(),
        "nonce": nonce or f"n{next(_nonces)}",
        "placebo_of": None,
    }
    predicate = {
        "result": "PASSED" if outcome == "held" else "FAILED",
        "passedTests": ["served"] if outcome == "held" else [],
        "failedTests": [] if outcome == "held" else ["served"],
        "drill": said | changes,
    }
    return Statement(PredicateType.TEST_RESULT, (Subject(row, sha(digest)),), predicate)


def person(predicate: PredicateType, /, **said: Any) -> Statement:
    """What a person signs."""
    whole = {"tenant": TENANT, "environment": "demo", "person": "p-1", "nonce": f"n{next(_nonces)}"} | said
    return Statement(predicate, (Subject("it", sha("it")),), whole)


def attestation(row: str = "S001.5", *, expires: datetime = BEGIN + 30 * DAY, **said: Any) -> Statement:
    """A signature for a row."""
    told = {"row": row, "evidence": "report 7", "expires_at": expires.isoformat()}
    return person(PredicateType.ATTESTATION, **told | said)


def acceptance(risk: str = "R001", *, expires: datetime = BEGIN + 30 * DAY, **said: Any) -> Statement:
    """An acceptance of a risk."""
    told = {"risk": risk, "reason_sha256": sha("because"), "expires_at": expires.isoformat()}
    return person(PredicateType.ACCEPTANCE, **told | said)


def incident(action: str, id: str = "i-1", *, risk: str = "R001", rows: Iterable[str] = (), **said: Any) -> Statement:
    """Something that was done with an incident."""
    return person(PredicateType.INCIDENT, incident=id, action=action, risk=risk, rows=list(rows), **said)


@dataclass
class Log:
    """Entries in order, each with the moment at which it got there."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, statement: Statement, at: datetime = BEGIN) -> Log:
        """One more."""
        envelope = Envelope(b"", "", b"")  # a standing is folded from what was verified before
        self.entries.append(Entry(len(self.entries), at, envelope, statement))
        return self

    def drill(self, outcome: str = "held", *, at: datetime = BEGIN, **said: Any) -> Log:
        """A drill that ended at `at` and was in the log at once."""
        return self.add(drill(outcome, at=at, **said), at)

    @property
    def standing(self) -> Standing:
        """All of it, folded."""
        return fold(Standing(TENANT), self.entries)


anything_said = st.one_of(
    st.builds(
        drill,
        st.sampled_from(["held", "failed", "invalid"]),
        row=st.sampled_from(["R001.1", "R001.2", "R002.1"]),
        variant=st.sampled_from(["storm", "hang"]),
        digest=st.sampled_from("ab"),
        experiment=st.sampled_from("xy"),
        environment=st.sampled_from(["demo", "production"]),
        at=st.integers(0, 9).map(lambda days: BEGIN + days * DAY),
    ),
    st.builds(attestation, st.sampled_from(["S001.5", "R001.5"])),
    st.builds(acceptance, st.sampled_from(["R001", "R002"])),
    st.builds(
        incident,
        st.sampled_from(["declared", "linked", "closed"]),
        st.sampled_from(["i-1", "i-2"]),
        risk=st.sampled_from(["R001", "R002"]),
        variant=st.just("storm"),
    ),
    st.builds(
        lambda kind: person(PredicateType.REVIEW, kind=kind, due="2026-11-01", decisions_sha256=sha("d")),
        st.sampled_from(["weekly", "monthly"]),
    ),
    st.builds(lambda: person(PredicateType.OPERATION, action="unlock", subject="x")),
)
"""Whatever a log may hold, for hypothesis."""
