"""The platform itself over the API: how it is, its register of risks, and login links."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from prodsprints.kernel import clock
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.register import export, heatmap
from prodsprints.store import workers
from prodsprints.web import tokens
from prodsprints.web.api import values
from prodsprints.web.api.answers import CHANGES, DRAWING, READS, Here, drawing
from prodsprints.web.errors import LoginRequiredError
from prodsprints.web.identity import Changing, Reading

router = APIRouter(tags=["platform"])


@router.get("/health")
def get_health(here: Here) -> values.Health:
    """Whether the database, the node agent and workers are there. Answers also when they are not."""
    health = values.Health(version=version("prodsprints"), database="down", node="down", workers=0)
    try:
        health.workers = workers.alive(here.db)
        health.database = "up"
    except ProdSprintsError:
        pass
    try:
        here.agent.health()
        health.node = "up"
    except ProdSprintsError:
        pass
    return health


@router.get("/register", responses=READS)
def get_register(here: Here, _: Reading) -> dict[str, Any]:
    """The whole register: what is claimed, what each row lacks, what is proven."""
    return export.as_json(here.register, today=clock.now().date())


@router.get("/register/risks/{risk_id}", responses=READS)
def get_risk(risk_id: str, here: Here, _: Reading) -> dict[str, Any]:
    """One risk with its mitigations."""
    return export.risk_as_json(here.register.risk(risk_id))


@router.get("/register/heatmap.svg", response_class=Response, responses=READS | DRAWING)
def get_heatmap(here: Here, _: Reading) -> Response:
    """The risks by level and probability, as an image of its own."""
    return drawing(heatmap.svg(here.register, links=False))


@router.post("/login-links", status_code=201, responses=CHANGES)
def make_login_link(here: Here, caller: Changing) -> values.LoginLink:
    """A link that logs a person in once, within a minute. Needs a token, not a session."""
    if caller.means != "token":
        raise LoginRequiredError("A session cannot make further logins.", next_step="Run `prodsprints login`.")
    code = tokens.mint(here.db, caller.tenant_id, actor=caller.actor, purpose="login", seconds=tokens.LOGIN_SECONDS)
    return values.LoginLink(url=f"{here.settings.address}/login/{code.value}", expires_at=code.expires_at)
