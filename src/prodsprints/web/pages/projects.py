"""The pages of projects: all of them, one with its environments and releases, and how one goes and comes back."""

from __future__ import annotations

from itertools import groupby

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from prodsprints.controls.backups.soft_delete import KEPT_DAYS, SoftDelete
from prodsprints.controls.integrations import mirror_records
from prodsprints.release import records
from prodsprints.release.records import Environment
from prodsprints.web import actions
from prodsprints.web.api.answers import Here
from prodsprints.web.api.projects import Name
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.render import no_such_page, page
from prodsprints.web.site import Site

router = APIRouter()

_SEE_OTHER = 303
_LOOKED_AT = 200


@router.get("/projects")
def projects(here: Here, caller: Reading) -> Response:
    """Every project, its repository, what its environments serve; and those that can be brought back."""
    every = records.environments(here.db, caller.tenant_id)
    return page(
        "projects.html",
        caller=caller,
        section="projects",
        projects=[(name, list(group)) for name, group in groupby(every, key=lambda one: one.project)],
        serving=records.serving(here.db, caller.tenant_id),
        deleted=SoftDelete(here.db).deleted(caller.tenant_id),
    )


@router.get("/projects/{name}")
def project(name: str, here: Here, caller: Reading) -> Response:
    """One project."""
    environments = _environments(here, caller, name)
    found = [one for one in records.releases(here.db, caller.tenant_id, limit=_LOOKED_AT) if one.project == name]
    return page(
        "project.html",
        caller=caller,
        section="projects",
        name=name,
        environments=environments,
        releases=found[:30],
        mirrors=[
            one for one in mirror_records.mirrors(here.db, caller.tenant_id) if one.url == environments[0].repository
        ],
        serving=records.serving(here.db, caller.tenant_id),
    )


@router.get("/projects/{name}/delete")
def confirm_deletion(name: str, here: Here, caller: Reading) -> Response:
    """What a deletion would do, and the button that does it."""
    return page(
        "project_delete.html",
        caller=caller,
        section="projects",
        name=name,
        environments=_environments(here, caller, name),
        kept_days=KEPT_DAYS,
    )


@router.post("/projects/{name}/delete")
def delete(name: Name, here: Here, caller: Changing) -> Response:
    """Delete it; a second click finds it deleted."""
    actions.delete_project(here, caller, name)
    return RedirectResponse("/projects#deleted", _SEE_OTHER)


@router.post("/projects/{name}/undelete")
def bring_back(name: Name, here: Here, caller: Changing) -> Response:
    """Bring it back; its page shows the releases by which it serves again."""
    actions.undelete_project(here, caller, name)
    return RedirectResponse(f"/projects/{name}", _SEE_OTHER)


def _environments(here: Site, caller: Caller, name: str) -> list[Environment]:
    found = [one for one in records.environments(here.db, caller.tenant_id) if one.project == name]
    if not found:
        raise no_such_page(f"/projects/{name}")
    return found
