"""The pages of environments: what serves where, its output, and the buttons to go back and to unlock."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.release import records
from prodsprints.store import leases
from prodsprints.web import actions, applog
from prodsprints.web.api.answers import Here
from prodsprints.web.identity import Changing, Reading
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_SEE_OTHER = 303
_TAIL_BYTES = 16_384


@router.get("/environments")
def environments(here: Here, caller: Reading) -> Response:
    """Every environment, its address, and what it serves."""
    return page(
        "environments.html",
        caller=caller,
        section="environments",
        environments=records.environments(here.db, caller.tenant_id),
        serving=records.serving(here.db, caller.tenant_id),
    )


@router.get("/environments/{environment_id}")
def environment(environment_id: UUID, here: Here, caller: Reading) -> Response:
    """One environment: what it serves, what it could go back to, who locks it, and the application's output."""
    found = actions.environment(here, caller, environment_id)
    current = found.current_release_id
    log, trouble = _tail(here, found)
    with here.db.tenant(caller.tenant_id) as connection:
        lease = leases.holder(connection, caller.tenant_id, found.lease)
    return page(
        "environment.html",
        caller=caller,
        section="environments",
        environment=found,
        current=records.get(here.db, caller.tenant_id, current) if current else None,
        previous=records.previous(here.db, found),
        lease=lease,
        releases=records.releases(here.db, caller.tenant_id, environment_id=environment_id, limit=20),
        log=log,
        trouble=trouble,
        rollback_id=uuid4(),
    )


@router.post("/environments/{environment_id}/rollback")
def roll_back(environment_id: UUID, id: Annotated[UUID, Form()], here: Here, caller: Changing) -> Response:
    """Queue a rollback; `id` came with the form, so that a second click is the same rollback."""
    release = actions.roll_back(here, caller, environment_id, id=id)
    return RedirectResponse(f"/releases/{release.id}", _SEE_OTHER)


@router.post("/environments/{environment_id}/unlock")
def unlock(environment_id: UUID, here: Here, caller: Changing) -> Response:
    """Take the lock away, also from a worker that is alive: the page said what that means."""
    actions.unlock(here, caller, environment_id, force=True)
    return RedirectResponse(f"/environments/{environment_id}", _SEE_OTHER)


def _tail(here: Site, environment: records.Environment) -> tuple[applog.LogPart | None, str]:
    """The newest output, or why there is none to show."""
    try:
        return applog.read(here, environment, after=str(-_TAIL_BYTES)), ""
    except ProdSprintsError as error:
        return None, error.what
