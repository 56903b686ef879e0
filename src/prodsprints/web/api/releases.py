"""Releases over the API: begin, list, look, follow, promote, abort."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from prodsprints.release import progress, records
from prodsprints.web import actions, cursors, evidence, streams
from prodsprints.web.api import values
from prodsprints.web.api.answers import CHANGES, DRAWING, READS, Here, Key, answered, drawing
from prodsprints.web.charts import canary_chart
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Changing, Reading

router = APIRouter(prefix="/releases", tags=["releases"])


@router.post("", status_code=202, response_model=values.Release, responses=CHANGES)
def begin_release(body: values.NewRelease, here: Here, caller: Changing, key: Key = None) -> Response:
    """Queue a release of a commit; follow it by its events."""
    asked = body.model_dump()

    def perform(id: UUID) -> Answer:
        return _accepted(actions.begin_release(here, caller, **asked, id=id))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "release", asked], perform))


@router.get("", responses=READS)
def list_releases(
    here: Here,
    caller: Reading,
    environment: UUID | None = None,
    cursor: Annotated[str | None, Query(max_length=cursors.LONGEST)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> values.Page[values.Release]:
    """The newest releases first."""
    before = cursors.decode(cursor) if cursor is not None else None
    found = records.releases(here.db, caller.tenant_id, environment_id=environment, before=before, limit=limit + 1)
    items = [values.Release.model_validate(release) for release in found[:limit]]
    return values.Page(items=items, next=cursors.encode(found[limit - 1].position) if len(found) > limit else None)


@router.get("/{release_id}", responses=READS)
def get_release(release_id: UUID, here: Here, caller: Reading) -> values.ReleaseInFull:
    """A release with its steps and the verdict on its canary."""
    release = actions.release(here, caller, release_id)
    verdict = evidence.of(here.db, release).verdict
    steps = progress.steps(here.db, caller.tenant_id, release_id)
    return values.ReleaseInFull(
        **values.Release.model_validate(release).model_dump(exclude={"ended"}),
        steps=[values.Step.model_validate(step) for step in steps],
        degradations=[values.Degraded.model_validate(one) for one in progress.degradations(steps)],
        verdict=verdict.as_json() if verdict else None,
    )


@router.get("/{release_id}/ticks", responses=READS)
def list_ticks(release_id: UUID, here: Here, caller: Reading) -> values.Page[values.Tick]:
    """What both arms of its canary answered, second by second."""
    release = actions.release(here, caller, release_id)
    ticks = progress.ticks(here.db, caller.tenant_id, release.id)
    return values.Page(items=[values.Tick.model_validate(tick) for tick in ticks])


@router.get("/{release_id}/chart.svg", response_class=Response, responses=READS | DRAWING)
def get_chart(release_id: UUID, here: Here, caller: Reading) -> Response:
    """Its canary as a chart: both arms, the evidence, the bound."""
    shown = evidence.of(here.db, actions.release(here, caller, release_id))
    return drawing(canary_chart(shown.ticks, shown.verdicts))


@router.get("/{release_id}/events", response_model=values.Page[values.Event], responses=READS | streams.DESCRIBED)
def follow_release(
    release_id: UUID,
    here: Here,
    caller: Reading,
    after: Annotated[int, Query(ge=0)] = 0,
    follow: Annotated[bool, Query(description="`false`: a JSON page of what there is, instead of a stream.")] = True,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Its live log as server-sent events: `log` for each line, then `end`. Resumes after Last-Event-ID or `after`."""
    actions.release(here, caller, release_id)
    if last_event_id is not None and last_event_id.isdecimal():
        after = int(last_event_id[:18])
    if follow:
        return streams.follow_release(here, caller.tenant_id, release_id, after=after)
    events = progress.events(here.db, caller.tenant_id, release_id, after=after)
    page = values.Page(items=[values.Event.model_validate(event) for event in events])
    return Response(page.model_dump_json(), media_type="application/json")


@router.post("/{release_id}/abort", status_code=202, response_model=values.Release, responses=CHANGES)
def abort_release(release_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Ask it to stop; traffic goes back to the version before."""
    asked = [caller.actor, "abort", release_id]
    return answered(
        once(here.db, caller.tenant_id, key, asked, lambda _: _accepted(actions.abort(here, caller, release_id)))
    )


@router.post("/{release_id}/promote", status_code=202, response_model=values.Release, responses=CHANGES)
def promote_release(release_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Give its canary all traffic without waiting for the verdict."""
    asked = [caller.actor, "promote", release_id]
    return answered(
        once(here.db, caller.tenant_id, key, asked, lambda _: _accepted(actions.promote(here, caller, release_id)))
    )


def _accepted(release: records.Release) -> Answer:
    return Answer(202, values.Release.model_validate(release).model_dump(mode="json"))
