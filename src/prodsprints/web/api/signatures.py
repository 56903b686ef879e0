"""What people sign, over the API: attestations of rows that no software holds, acceptances of risks as they are."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from prodsprints.ledger import people
from prodsprints.register import acceptances, attestations
from prodsprints.web import governing
from prodsprints.web.api import governance_values as values
from prodsprints.web.api.answers import CHANGES, READS, Here, Key, answered
from prodsprints.web.api.values import Page
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Changing, Reading

router = APIRouter(tags=["signatures"])

_Environment = Annotated[str | None, Query(max_length=60)]
_Of = Annotated[str | None, Query(max_length=60)]
_Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/attestations", responses=READS)
def list_attestations(
    here: Here, caller: Reading, environment: _Environment = None, row: _Of = None, limit: _Limit = 200
) -> Page[values.Attestation]:
    """The newest attestations first; a later one of the same row takes the place of an earlier one."""
    found = attestations.attestations(here.db, caller.tenant_id, environment=environment, row=row, limit=limit)
    names = people.names(here.db, caller.tenant_id, {one.person for one in found})
    return Page(items=[values.Attestation.model_validate(one.as_json(names)) for one in found])


@router.post("/attestations", status_code=201, response_model=values.Attestation, responses=CHANGES)
def attest(body: values.NewAttestation, here: Here, caller: Changing, key: Key = None) -> Response:
    """Sign that a row is held which no software can hold."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        signed = governing.attest(here, caller, **told, id=id)
        shown = values.Attestation.model_validate(signed.as_json({signed.person: caller.actor}))
        return Answer(201, shown.model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "attest", told], perform))


@router.get("/acceptances", responses=READS)
def list_acceptances(
    here: Here, caller: Reading, environment: _Environment = None, risk: _Of = None, limit: _Limit = 200
) -> Page[values.Acceptance]:
    """The newest acceptances first."""
    found = acceptances.acceptances(here.db, caller.tenant_id, environment=environment, risk=risk, limit=limit)
    names = people.names(here.db, caller.tenant_id, {one.person for one in found})
    return Page(items=[values.Acceptance.model_validate(one.as_json(names)) for one in found])


@router.post("/acceptances", status_code=201, response_model=values.Acceptance, responses=CHANGES)
def accept(body: values.NewAcceptance, here: Here, caller: Changing, key: Key = None) -> Response:
    """Sign that a risk is borne as it is. A drill of the risk that fails reopens it."""
    told = body.model_dump()

    def perform(id: UUID) -> Answer:
        signed = governing.accept(here, caller, **told, id=id)
        shown = values.Acceptance.model_validate(signed.as_json({signed.person: caller.actor}))
        return Answer(201, shown.model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "accept", told], perform))
