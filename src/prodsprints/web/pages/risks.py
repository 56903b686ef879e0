"""The pages of the register: all risks, one risk with its rows, and one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import Response

from prodsprints import incidents
from prodsprints.drills import runs
from prodsprints.ledger import people
from prodsprints.ledger.errors import LedgerTamperedError
from prodsprints.register import acceptances, attestations
from prodsprints.register.model import Kind, Risk
from prodsprints.register.rating import Level, Probability, rate
from prodsprints.register.status import Status
from prodsprints.web import drill_list, entries, registers
from prodsprints.web.api.answers import Here
from prodsprints.web.api.register import HERE, Where
from prodsprints.web.entries import Line
from prodsprints.web.identity import Caller, Reading
from prodsprints.web.pages.render import page
from prodsprints.web.registers import Shown
from prodsprints.web.site import Site

router = APIRouter()

_PER_PAGE = 200
_LATEST = 10


@router.get("/risks")
def risks(
    here: Here,
    caller: Reading,
    where: Where = HERE,
    level: Level | None = None,
    probability: Probability | None = None,
    start: Annotated[int, Query(alias="from", ge=0, le=10**6)] = 0,
) -> Response:
    """Every risk by level, worst first, or those of one cell of the map; a long register in pages."""
    shown = registers.of(here, caller.tenant_id, where)
    standings = shown.assessment.risks
    ordered = [
        risk
        for row in ([level] if level else Level)
        for risk in shown.register.risks
        if risk.level is row and probability in {None, standings[risk.id].residual.probability}
    ]
    some = ordered[start : start + _PER_PAGE]
    by_level = [(level, [risk for risk in some if risk.level is level]) for level in Level]
    return page(
        "risks.html",
        caller=caller,
        section="risks",
        environment=where,
        places=drill_list.environments(here, caller.tenant_id),
        register=shown.register,
        summary=shown.summary,
        assessment=shown.assessment,
        by_level=[(level, found) for level, found in by_level if found],
        good={risk.id: _good(shown, risk) for risk in some},
        cell=f"{level.capitalize()}, {probability.words.lower()} today" if level and probability else "",
        later=_later(where, level, probability, start + _PER_PAGE) if start + _PER_PAGE < len(ordered) else "",
    )


def _later(where: str, level: Level | None, probability: Probability | None, start: int) -> str:
    asked = {"environment": where, "level": level, "probability": probability and int(probability), "from": start}
    return f"/risks?{urlencode({name: value for name, value in asked.items() if value is not None})}"


@router.get("/risks/{risk_id}")
def risk(risk_id: str, here: Here, caller: Reading, where: Where = HERE) -> Response:
    """One risk: what it is, how it is rated today, and every row that is claimed against it."""
    shown = registers.of(here, caller.tenant_id, where)
    found = shown.register.risk(risk_id)
    position = shown.register.risks.index(found)
    accepted = acceptances.acceptances(here.db, caller.tenant_id, environment=where, risk=found.id, limit=_LATEST)
    return page(
        "risk.html",
        caller=caller,
        section="risks",
        environment=where,
        places=drill_list.environments(here, caller.tenant_id),
        risk=found,
        standing=shown.assessment.risks[found.id],
        assessment=shown.assessment,
        incidents=incidents.incidents(here.db, caller.tenant_id, environment=where, risk=found.id, limit=_LATEST),
        heard=shown.standing.incidents,
        acceptances=accepted,
        names=people.names(here.db, caller.tenant_id, {one.person for one in accepted}),
        offered=drill_list.offered(here, caller.tenant_id, where, found.mitigations),
        before=shown.register.risks[position - 1] if position else None,
        after=shown.register.risks[position + 1] if position + 1 < len(shown.register.risks) else None,
        levels=list(Level),
        probabilities=list(Probability),
        rate=rate,
    )


@router.get("/rows/{row_id}")
def row(row_id: str, here: Here, caller: Reading, where: Where = HERE) -> Response:
    """One row: what is claimed, what is known of it and from what, its drills, its evidence."""
    shown = registers.of(here, caller.tenant_id, where)
    found = registers.row(shown.register, row_id)
    signed = attestations.attestations(here.db, caller.tenant_id, environment=where, row=found.id, limit=_LATEST)
    happened = incidents.incidents(here.db, caller.tenant_id, environment=where, risk=row_id.partition(".")[0])
    return page(
        "row.html",
        caller=caller,
        section="risks",
        environment=where,
        places=drill_list.environments(here, caller.tenant_id),
        row=found,
        risk=shown.register.risk(row_id.partition(".")[0]),
        standing=shown.assessment.rows[found.id],
        assessment=shown.assessment,
        is_signed=found.kind is not Kind.CONTROL,
        incidents=[one for one in happened if not one.rows or found.id in one.rows],
        heard=shown.standing.incidents,
        attestations=signed,
        counting=_nonce(shown, where, found.id),
        names=people.names(here.db, caller.tenant_id, {one.person for one in signed}),
        offered=drill_list.offered(here, caller.tenant_id, where, [found]),
        runs=runs.runs(here.db, caller.tenant_id, row=found.id, environment=where, limit=_LATEST),
        evidence=_evidence(here, caller, shown.standing.row(where, found.id).evidence),
    )


def _good(shown: Shown, risk: Risk) -> tuple[int, int]:
    """How many of its rows are proven, and for how many only a person stands."""
    statuses = [shown.assessment.rows[row.id].status for row in risk.mitigations]
    return statuses.count(Status.PROVEN), statuses.count(Status.ATTESTED)


def _nonce(shown: Shown, environment: str, row: str) -> str:
    """Which attestation the log heard last for the row: that one counts until it expires."""
    heard = shown.standing.row(environment, row).attestation
    return heard.nonce if heard else ""


def _evidence(here: Site, caller: Caller, indices: Sequence[int]) -> list[Line]:
    """The entries that counted for the row, newest first; none of a log that cannot be relied on: the page says so."""
    try:
        return entries.lines_at(here.ledger(caller.tenant_id), reversed(indices))
    except LedgerTamperedError:
        return []
