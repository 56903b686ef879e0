"""The pages of projects: all of them, and one with its environments and releases."""

from __future__ import annotations

from itertools import groupby

from fastapi import APIRouter
from starlette.responses import Response

from prodsprints.release import records
from prodsprints.web.api.answers import Here
from prodsprints.web.identity import Reading
from prodsprints.web.pages.render import no_such_page, page

router = APIRouter()

_LOOKED_AT = 200


@router.get("/projects")
def projects(here: Here, caller: Reading) -> Response:
    """Every project, its repository, and what its environments serve."""
    every = records.environments(here.db, caller.tenant_id)
    return page(
        "projects.html",
        caller=caller,
        section="projects",
        projects=[(name, list(group)) for name, group in groupby(every, key=lambda one: one.project)],
        serving=records.serving(here.db, caller.tenant_id),
    )


@router.get("/projects/{name}")
def project(name: str, here: Here, caller: Reading) -> Response:
    """One project."""
    environments = [one for one in records.environments(here.db, caller.tenant_id) if one.project == name]
    if not environments:
        raise no_such_page(f"/projects/{name}")
    found = [one for one in records.releases(here.db, caller.tenant_id, limit=_LOOKED_AT) if one.project == name]
    return page(
        "project.html",
        caller=caller,
        section="projects",
        name=name,
        environments=environments,
        releases=found[:30],
        serving=records.serving(here.db, caller.tenant_id),
    )
