"""The pages on which a person signs: that a row is held, or that a risk is borne as it is."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query
from starlette.responses import Response

from prodsprints.register.model import Kind
from prodsprints.web import drill_list, governing, registers
from prodsprints.web.api.answers import Here
from prodsprints.web.api.register import HERE, Where
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import Days, FormId, Trouble, Typed, act, end_of
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_UNPROCESSABLE = 422
_Named = Annotated[str, Query(max_length=60)]


@router.get("/attestations/new")
def new_attestation(here: Here, caller: Reading, row: _Named = "", where: Where = HERE) -> Response:
    """The form by which a person signs for a row."""
    return _attestation(here, caller, row, where, "", str(Days.now().proposed))


@router.post("/attestations")
def attest(
    here: Here,
    caller: Changing,
    form: FormId,
    row: Typed = "",
    environment: Typed = "",
    evidence: Typed = "",
    until: Typed = "",
) -> Response:
    """Sign; the row's page shows it."""

    def perform(id: UUID) -> str:
        governing.attest(
            here, caller, row=row, environment=environment, evidence=evidence, expires_at=end_of(until), id=id
        )
        return f"/rows/{row}?environment={environment}#sign"

    came = act(here, caller, form, ["attest", row, environment, evidence, until], perform)
    return _attestation(here, caller, row, environment, evidence, until, came) if isinstance(came, Trouble) else came


@router.get("/acceptances/new")
def new_acceptance(here: Here, caller: Reading, risk: _Named = "", where: Where = HERE) -> Response:
    """The form by which a person accepts a risk."""
    return _acceptance(here, caller, risk, where, "", str(Days.now().proposed))


@router.post("/acceptances")
def accept(
    here: Here,
    caller: Changing,
    form: FormId,
    risk: Typed = "",
    environment: Typed = "",
    reason: Typed = "",
    until: Typed = "",
) -> Response:
    """Sign; the risk's page shows it."""

    def perform(id: UUID) -> str:
        governing.accept(
            here, caller, risk=risk, environment=environment, reason=reason, expires_at=end_of(until), id=id
        )
        return f"/risks/{risk}?environment={environment}#acceptance"

    came = act(here, caller, form, ["accept", risk, environment, reason, until], perform)
    return _acceptance(here, caller, risk, environment, reason, until, came) if isinstance(came, Trouble) else came


def _attestation(
    here: Site,
    caller: Caller,
    row: str,
    environment: str,
    evidence: str,
    until: str,
    trouble: Trouble | None = None,
) -> Response:
    register = here.register_of(caller.tenant_id)
    found = registers.row(register, row) if row else None
    return page(
        "attestation_new.html",
        caller=caller,
        section="risks",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        form_id=uuid4(),
        row=found,
        rows=[one for one in register.mitigations if one.kind is not Kind.CONTROL],
        is_signed=found is None or found.kind is not Kind.CONTROL,
        environment=environment,
        places=drill_list.environments(here, caller.tenant_id),
        evidence=evidence,
        until=until,
        days=Days.now(),
    )


def _acceptance(
    here: Site,
    caller: Caller,
    risk: str,
    environment: str,
    reason: str,
    until: str,
    trouble: Trouble | None = None,
) -> Response:
    register = here.register_of(caller.tenant_id)
    return page(
        "acceptance_new.html",
        caller=caller,
        section="risks",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        form_id=uuid4(),
        risk=register.risk(risk) if risk else None,
        risks=register.risks,
        environment=environment,
        places=drill_list.environments(here, caller.tenant_id),
        reason=reason,
        until=until,
        days=Days.now(),
    )
