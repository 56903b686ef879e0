"""The first page: what is claimed and proven, what to do next, what is being released."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from prodsprints.drills import runs
from prodsprints.register import grid, heatmap
from prodsprints.register.assessment import Assessment
from prodsprints.register.grid import Grid
from prodsprints.release import records
from prodsprints.release.records import Release
from prodsprints.store import workers
from prodsprints.web import drill_list, registers
from prodsprints.web.api.answers import Here
from prodsprints.web.api.register import HERE, Where
from prodsprints.web.identity import Reading
from prodsprints.web.pages import next_actions
from prodsprints.web.pages.render import page, program

router = APIRouter()

_SHOWN = 8
_LOOKED_AT = 200


@router.get("/")
def home(here: Here, caller: Reading, where: Where = HERE) -> Response:
    """The register's first line, the heat map, the next actions, the newest drills and releases, the environments."""
    environments = records.environments(here.db, caller.tenant_id)
    releases = records.releases(here.db, caller.tenant_id, limit=_LOOKED_AT)
    shown = registers.of(here, caller.tenant_id, where)
    actions = next_actions.next_actions(
        environments, _newest_of_each(releases), shown, workers=workers.alive(here.db), program=program()
    )
    return page(
        "home.html",
        caller=caller,
        section="overview",
        environment=where,
        places=drill_list.environments(here, caller.tenant_id),
        summary=shown.summary,
        assessment=shown.assessment,
        heatmap=shown.assessment.once(_heatmap),
        grid=shown.assessment.once(_grid),
        actions=actions,
        runs=runs.runs(here.db, caller.tenant_id, environment=where, limit=_SHOWN),
        releases=releases[:_SHOWN],
        environments=environments,
        serving=records.serving(here.db, caller.tenant_id),
    )


def _heatmap(assessment: Assessment) -> str:
    return heatmap.svg(assessment.register, assessment=assessment, style=False)


def _grid(assessment: Assessment) -> Grid:
    return grid.grid(assessment.register.risks, assessment)


def _newest_of_each(releases: list[Release]) -> list[Release]:
    """Each environment's newest release, newest first."""
    newest: dict[object, Release] = {}
    for release in releases:
        newest.setdefault(release.environment_id, release)
    return list(newest.values())
