"""The pages of evidence: the log, one entry with its signature and its proof, and the verification of the whole log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from prodsprints.drills import runs
from prodsprints.drills.errors import JournalTamperedError
from prodsprints.drills.experiment import Peer, PeerClass
from prodsprints.drills.runs import DrillRun
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.ledger import people
from prodsprints.ledger.errors import (
    KeyExposedError,
    KeyFileError,
    KeyLostError,
    LedgerTamperedError,
    SignatureError,
)
from prodsprints.ledger.log import Entry
from prodsprints.ledger.statement import PredicateType
from prodsprints.register.assessment import LogState
from prodsprints.web import entries
from prodsprints.web.api.answers import Here
from prodsprints.web.api.evidence import inclusion
from prodsprints.web.api.register import HERE
from prodsprints.web.drill_view import figures
from prodsprints.web.entries import Line, Lines, said_of
from prodsprints.web.identity import Caller, Reading
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_LOOKED_AT = 200
_UNRELIABLE = (LedgerTamperedError, SignatureError, KeyLostError, KeyExposedError, KeyFileError)
_SHOWN_APART = frozenset({"peers", "configuration", "passedTests", "failedTests", "measured", "scale", "environment"})


@dataclass(frozen=True)
class NamedJournal:
    """A journal that evidence names; `kept` is whether it can be read here."""

    name: str
    sha256: str
    kept: bool


@router.get("/evidence")
def evidence(
    here: Here,
    caller: Reading,
    row: Annotated[str, Query(max_length=20)] = "",
    environment: Annotated[str, Query(max_length=40)] = "",
    before: Annotated[int | None, Query(ge=0, le=2**62)] = None,
) -> Response:
    """The newest entries, the log's size and root, and whether anybody outside knows them. Also of a tampered log."""
    ledger = here.ledger(caller.tenant_id)
    checkpoint, keys = None, 0
    trouble: ProdSprintsError | None = None
    found = Lines((), 0)
    try:
        keys = len(ledger.keys.keys)
        checkpoint = ledger.checkpoint()
        assessment = here.assessment(caller.tenant_id, HERE)
        found = entries.lines(
            ledger, assessment.standing, before=before, row=row.strip(), environment=environment.strip()
        )
        state = assessment.log
        if state.state is LogState.TAMPERED:
            trouble = LedgerTamperedError(state.reason, kind="edited")
    except _UNRELIABLE as error:
        trouble = error
    chosen = {name: value for name, value in (("row", row), ("environment", environment)) if value}
    return page(
        "evidence.html",
        caller=caller,
        section="evidence",
        row=row,
        environment=environment,
        lines=found.lines,
        older=f"/evidence?{urlencode({**chosen, 'before': found.older})}" if found.older else "",
        newest=f"/evidence?{urlencode(chosen)}" if before is not None else "",
        checkpoint=checkpoint,
        keys=keys,
        outside=here.witness.outside,
        trouble=trouble,
    )


@router.get("/evidence/verification")
def verification(here: Here, caller: Reading) -> Response:
    """The whole log held against its signatures, its root and its witness."""
    made = here.verifications.of(here.assessor, here.ledger(caller.tenant_id))
    return page(
        "verification.html",
        caller=caller,
        section="evidence",
        made=made,
        report=made.report,
        outside=here.witness.outside,
    )


@router.get("/evidence/{index}")
def statement(index: Annotated[int, Path(ge=0, le=2**62)], here: Here, caller: Reading) -> Response:
    """One entry: what it says, who signed it, and why it is in the log."""
    ledger = here.ledger(caller.tenant_id)
    entry = ledger.entry(index)
    key = ledger.keys.find(entry.envelope.key_id)
    proof = inclusion(ledger.inclusion(index))
    named = people.names(here.db, caller.tenant_id, _persons(entry))
    drill = _drill(here, caller, entry) if entry.statement.type is PredicateType.TEST_RESULT else None
    return page(
        "statement.html",
        caller=caller,
        section="evidence",
        line=Line.of(entry),
        said=entries.facts(entry, named, besides=_SHOWN_APART if drill else ()),
        key=key,
        signature=entry.envelope.signature.hex(),
        proof=proof,
        statement_text=json.dumps(json.loads(entry.envelope.payload), indent=2, ensure_ascii=False),
        envelope_text=json.dumps(json.loads(entry.envelope.to_bytes()), indent=2),
        drill=drill,
    )


@dataclass(frozen=True)
class Drilled:
    """What the evidence of a drill leads to."""

    run: DrillRun | None
    peers: tuple[Peer, ...]
    journals: tuple[NamedJournal, ...]
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    scale: str
    placebo_of: int | None
    figures: list[tuple[str, str]]


def _drill(here: Site, caller: Caller, entry: Entry) -> Drilled | None:
    """What it leads to; None for one that was not written as drills write theirs, whose facts are all there is."""
    predicate, said = entry.statement.predicate, said_of(entry)
    try:
        peers = tuple(Peer(str(one["name"]), str(one["version"]), PeerClass(one["class"])) for one in said["peers"])
        journals = tuple(_journal(here, caller, one) for one in predicate["configuration"])
        passed, failed = (tuple(map(str, predicate[name])) for name in ("passedTests", "failedTests"))
        measured = figures(said["measured"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    of_row = runs.runs(here.db, caller.tenant_id, row=str(said.get("row", "")), limit=_LOOKED_AT)
    placebo_of = said.get("placebo_of")
    return Drilled(
        run=next((run for run in of_row if run.evidence_index == entry.index), None),
        peers=peers,
        journals=journals,
        passed=passed,
        failed=failed,
        scale=str(said.get("scale", "")),
        placebo_of=placebo_of if isinstance(placebo_of, int) else None,
        figures=measured,
    )


def _journal(here: Site, caller: Caller, named: dict[str, Any]) -> NamedJournal:
    sha256 = str(named["digest"]["sha256"])
    try:
        kept = runs.journal(here.db, caller.tenant_id, sha256) is not None
    except JournalTamperedError:
        kept = False
    arm = {"journal/treatment": "With the control", "journal/placebo": "Placebo: the bare peer"}
    return NamedJournal(arm.get(named["name"], named["name"]), sha256, kept)


def _persons(entry: Entry) -> list[str]:
    person = entry.statement.predicate.get("person")
    return [person] if isinstance(person, str) else []
