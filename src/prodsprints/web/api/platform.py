"""The platform itself over the API: how it is, and login links."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.store import workers
from prodsprints.web import tokens
from prodsprints.web.api import values
from prodsprints.web.api.answers import CHANGES, Here
from prodsprints.web.errors import LoginRequiredError
from prodsprints.web.identity import Changing

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


@router.post("/login-links", status_code=201, responses=CHANGES)
def make_login_link(here: Here, caller: Changing) -> values.LoginLink:
    """A link that logs a person in once, within a minute. Needs a token, not a session."""
    if caller.means != "token":
        raise LoginRequiredError("A session cannot make further logins.", next_step="Run `prodsprints login`.")
    code = tokens.mint(here.db, caller.tenant_id, actor=caller.actor, purpose="login", seconds=tokens.LOGIN_SECONDS)
    return values.LoginLink(url=f"{here.settings.address}/login/{code.value}", expires_at=code.expires_at)
