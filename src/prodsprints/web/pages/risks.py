"""The pages of the register: all risks, and one risk with its rows."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from prodsprints.kernel import clock
from prodsprints.register.rating import Level, Probability, rate
from prodsprints.web.api.answers import Here
from prodsprints.web.identity import Reading
from prodsprints.web.pages.render import page

router = APIRouter()


@router.get("/risks")
def risks(here: Here, caller: Reading) -> Response:
    """Every risk by level, worst first."""
    by_level = [(level, [risk for risk in here.register.risks if risk.level is level]) for level in Level]
    return page(
        "risks.html",
        caller=caller,
        section="risks",
        register=here.register,
        summary=here.register.summary(clock.now().date()),
        by_level=[(level, found) for level, found in by_level if found],
    )


@router.get("/risks/{risk_id}")
def risk(risk_id: str, here: Here, caller: Reading) -> Response:
    """One risk: what it is, how it is rated, and every row that is claimed against it."""
    found = here.register.risk(risk_id)
    position = here.register.risks.index(found)
    return page(
        "risk.html",
        caller=caller,
        section="risks",
        risk=found,
        before=here.register.risks[position - 1] if position else None,
        after=here.register.risks[position + 1] if position + 1 < len(here.register.risks) else None,
        levels=list(Level),
        probabilities=list(Probability),
        rate=rate,
    )
