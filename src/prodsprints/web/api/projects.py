"""Projects over the API: which there are, which were deleted, and how one goes and comes back."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from prodsprints.controls.backups.soft_delete import DeletedProject, SoftDelete
from prodsprints.controls.integrations import mirror_records
from prodsprints.controls.integrations.mirror_records import MirrorRecord
from prodsprints.release import records
from prodsprints.web import actions
from prodsprints.web.api import values
from prodsprints.web.api.answers import CHANGES, READS, Here, Key, answered
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Changing, Reading

router = APIRouter(prefix="/projects", tags=["projects"])

Name = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,39}$")]


@router.get("", responses=READS)
def list_projects(
    here: Here,
    caller: Reading,
    deleted: Annotated[bool, Query(description="`true`: those that were deleted and can be brought back.")] = False,
) -> values.Page[values.Project]:
    """Every project and its environments."""
    if deleted:
        return values.Page(items=[_deleted(one) for one in SoftDelete(here.db).deleted(caller.tenant_id)])
    every = records.environments(here.db, caller.tenant_id)
    mirrors = mirror_records.mirrors(here.db, caller.tenant_id)
    return values.Page(
        items=[_living(name, group, mirrors) for name, group in groupby(every, key=lambda one: one.project)]
    )


@router.delete("/{name}", response_model=values.Project, responses=CHANGES)
def delete_project(name: Name, here: Here, caller: Changing, key: Key = None) -> Response:
    """Delete it for everybody who looks; it can be brought back whole. Its addresses fall silent within seconds."""

    def perform(_: object) -> Answer:
        return Answer(200, _deleted(actions.delete_project(here, caller, name)).model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "delete project", name], perform))


@router.post("/{name}/undelete", status_code=202, response_model=values.Undeleted, responses=CHANGES)
def undelete_project(name: Name, here: Here, caller: Changing, key: Key = None) -> Response:
    """Bring it back with all it had; `releases` are under way, and serve again what it served."""

    def perform(_: object) -> Answer:
        releases = actions.undelete_project(here, caller, name)
        living = [one for one in records.environments(here.db, caller.tenant_id) if one.project == name]
        undeleted = values.Undeleted(
            project=_living(name, living, mirror_records.mirrors(here.db, caller.tenant_id)),
            releases=[values.Release.model_validate(release) for release in releases],
        )
        return Answer(202, undeleted.model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "undelete project", name], perform))


def _living(name: str, environments: Iterable[records.Environment], mirrors: Iterable[MirrorRecord]) -> values.Project:
    every = list(environments)
    return values.Project(
        name=name,
        repository=every[0].repository,
        environments=[one.name for one in every],
        mirrors=[values.Mirror.model_validate(one) for one in mirrors if one.url == every[0].repository],
    )


def _deleted(project: DeletedProject) -> values.Project:
    return values.Project.model_validate(project)
