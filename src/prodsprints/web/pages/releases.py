"""The pages of releases: the list, and one release with its steps, canary, live log and buttons."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import RedirectResponse, Response

from prodsprints.release import progress, records
from prodsprints.release.progress import Step
from prodsprints.release.records import ENDED, Release
from prodsprints.release.verdict import Verdict
from prodsprints.web import actions, cursors, evidence
from prodsprints.web.api.answers import Here
from prodsprints.web.charts import canary_chart
from prodsprints.web.identity import Changing, Reading
from prodsprints.web.pages.render import page

router = APIRouter()

_SEE_OTHER = 303
_PER_PAGE = 50
_LOG_LINES = 500


@router.get("/releases")
def releases(
    here: Here, caller: Reading, cursor: Annotated[str | None, Query(max_length=cursors.LONGEST)] = None
) -> Response:
    """The newest releases first."""
    before = cursors.decode(cursor) if cursor is not None else None
    found = records.releases(here.db, caller.tenant_id, before=before, limit=_PER_PAGE + 1)
    return page(
        "releases.html",
        caller=caller,
        section="releases",
        releases=found[:_PER_PAGE],
        earlier=cursors.encode(found[_PER_PAGE - 1].position) if len(found) > _PER_PAGE else "",
        first=cursor is None,
    )


@router.get("/releases/{release_id}")
def release(
    release_id: UUID, here: Here, caller: Reading, after: Annotated[int, Query(ge=0, le=2**62)] = 0
) -> Response:
    """One release: how it stands and why, step by step, with its canary and its live log from `after` on."""
    found = actions.release(here, caller, release_id)
    steps = progress.steps(here.db, caller.tenant_id, release_id)
    events = progress.events(here.db, caller.tenant_id, release_id, after=after, limit=_LOG_LINES + 1)
    shown = evidence.of(here.db, found)
    return page(
        "release.html",
        caller=caller,
        section="releases",
        release=found,
        ended=found.status in ENDED,
        sentence=_sentence(found, steps, shown.verdict),
        steps=steps,
        degradations=progress.degradations(steps),
        events=events[:_LOG_LINES],
        after=after,
        later=events[_LOG_LINES - 1].seq if len(events) > _LOG_LINES else 0,
        verdict=shown.verdict,
        chart=canary_chart(shown.ticks, shown.verdicts, style=False) if shown.ticks else "",
        can_promote=_can_promote(found, steps),
    )


@router.post("/releases/{release_id}/abort")
def abort(release_id: UUID, here: Here, caller: Changing) -> Response:
    """Ask it to stop."""
    actions.abort(here, caller, release_id)
    return RedirectResponse(f"/releases/{release_id}", _SEE_OTHER)


@router.post("/releases/{release_id}/promote")
def promote(release_id: UUID, here: Here, caller: Changing) -> Response:
    """Give its canary all traffic."""
    actions.promote(here, caller, release_id)
    return RedirectResponse(f"/releases/{release_id}", _SEE_OTHER)


def _sentence(release: Release, steps: list[Step], verdict: Verdict | None) -> str:
    """How it stands, for a person: the reason it ended, the verdict so far, or the step it is in."""
    if release.reason:
        return release.reason
    if release.status == "queued":
        return "It waits for the release before it in this environment, or for a worker."
    if verdict is not None:
        return verdict.sentence
    return f"In step {steps[-1].name}." if steps else "It is about to begin."


def _can_promote(release: Release, steps: list[Step]) -> bool:
    rolling_out = any(step.name == "rollout" and step.status == "running" for step in steps)
    return release.status == "running" and rolling_out and release.promote_requested_at is None
