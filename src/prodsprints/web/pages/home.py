"""The first page: what is claimed and proven, what to do next, what is being released."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from prodsprints.kernel import clock
from prodsprints.register import heatmap
from prodsprints.release import records
from prodsprints.release.records import Release
from prodsprints.store import workers
from prodsprints.web.api.answers import Here
from prodsprints.web.identity import Reading
from prodsprints.web.pages import next_actions
from prodsprints.web.pages.render import page, program

router = APIRouter()

_SHOWN = 8
_LOOKED_AT = 200


@router.get("/")
def home(here: Here, caller: Reading) -> Response:
    """The register's first line, the heat map, the next actions, the newest releases, the environments."""
    environments = records.environments(here.db, caller.tenant_id)
    releases = records.releases(here.db, caller.tenant_id, limit=_LOOKED_AT)
    summary = here.register.summary(clock.now().date())
    critical = next_actions.unproven_critical(here.register)
    actions = next_actions.next_actions(
        environments,
        _newest_of_each(releases),
        summary,
        critical,
        workers=workers.alive(here.db),
        program=program(),
    )
    return page(
        "home.html",
        caller=caller,
        section="overview",
        register=here.register,
        summary=summary,
        heatmap=heatmap.svg(here.register, style=False),
        grid=heatmap.grid(here.register.risks),
        actions=actions,
        releases=releases[:_SHOWN],
        environments=environments,
        serving=records.serving(here.db, caller.tenant_id),
        unproven=len(critical),
        critical_rows=len(critical),
    )


def _newest_of_each(releases: list[Release]) -> list[Release]:
    """Each environment's newest release, newest first."""
    newest: dict[object, Release] = {}
    for release in releases:
        newest.setdefault(release.environment_id, release)
    return list(newest.values())
