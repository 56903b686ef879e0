"""Drills over the API: what can be broken, breaking it, and following a run with both of its arms."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from prodsprints.drills import policy, runs
from prodsprints.drills.runs import DrillRun
from prodsprints.drills.stage import Arm
from prodsprints.web import actions, cursors, drill_list, drill_view, streams
from prodsprints.web.api import drill_values, values
from prodsprints.web.api.answers import CHANGES, DRAWING, READS, Here, Key, answered, drawing
from prodsprints.web.drill_chart import Axes, drill_chart
from prodsprints.web.drill_list import Offered
from prodsprints.web.drill_view import ArmView
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Changing, Reading

router = APIRouter(tags=["drills"])

_Environment = Annotated[str, Query(min_length=1, max_length=40)]
_SCRATCH = min(policy.SCRATCH)


@router.get("/drills", responses=READS)
def list_drills(here: Here, caller: Reading, environment: _Environment = _SCRATCH) -> values.Page[drill_values.Drill]:
    """Every drill there is, by row, with its last run in `environment`."""
    offered = drill_list.offered(here, caller.tenant_id, environment)
    return values.Page(items=[_drill(one) for one in offered])


@router.post("/drills/{row}/runs", status_code=202, response_model=drill_values.DrillRun, responses=CHANGES)
def begin_run(row: str, body: drill_values.NewDrillRun, here: Here, caller: Changing, key: Key = None) -> Response:
    """Queue a drill of that row: it breaks what the row's control protects, and what is not protected beside it."""
    asked = body.model_dump()

    def perform(id: UUID) -> Answer:
        run = actions.break_it(here, caller, row, **asked, id=id)
        return Answer(202, drill_values.DrillRun.model_validate(run).model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "drill", row, asked], perform))


@router.get("/drill-runs", responses=READS)
def list_runs(
    here: Here,
    caller: Reading,
    row: Annotated[str | None, Query(max_length=20)] = None,
    environment: Annotated[str | None, Query(max_length=40)] = None,
    cursor: Annotated[str | None, Query(max_length=cursors.LONGEST)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> values.Page[drill_values.DrillRun]:
    """The newest runs first."""
    before = cursors.decode(cursor) if cursor is not None else None
    found = runs.runs(here.db, caller.tenant_id, row=row, environment=environment, before=before, limit=limit + 1)
    items = [drill_values.DrillRun.model_validate(run) for run in found[:limit]]
    return values.Page(items=items, next=cursors.encode(found[limit - 1].position) if len(found) > limit else None)


@router.get("/drill-runs/{run_id}", responses=READS)
def get_run(run_id: UUID, here: Here, caller: Reading) -> drill_values.DrillRunInFull:
    """A run with what both of its arms have shown so far."""
    run = actions.drill_run(here, caller, run_id)
    return drill_values.DrillRunInFull(
        **drill_values.DrillRun.model_validate(run).model_dump(exclude={"ended"}),
        arms=[_arm(arm) for arm in drill_view.of(here.db, caller.tenant_id, run)],
    )


@router.get("/drill-runs/{run_id}/chart.svg", response_class=Response, responses=READS | DRAWING)
def get_chart(run_id: UUID, here: Here, caller: Reading, arm: Arm = Arm.TREATMENT) -> Response:
    """One arm as a chart: every call of the subject, and the fault over them. Both arms have the same axes."""
    run = actions.drill_run(here, caller, run_id)
    arms = drill_view.of(here.db, caller.tenant_id, run)
    shown = next(one for one in arms if one.arm is arm)
    about = drill_view.described(here.db, caller.tenant_id, here.catalog, run)
    return drawing(drill_chart(shown, about.fault, Axes.of(arms)))


@router.get(
    "/drill-runs/{run_id}/events",
    response_model=values.Page[drill_values.DrillEvent],
    responses=READS | streams.DESCRIBED,
)
def follow_run(
    run_id: UUID,
    here: Here,
    caller: Reading,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    follow: Annotated[bool, Query(description="`false`: a JSON page of what there is, instead of a stream.")] = True,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """What both arms show as it happens: `drill` for each event, then `end`. Resumes after Last-Event-ID or `after`."""
    run: DrillRun = actions.drill_run(here, caller, run_id)
    if last_event_id is not None and last_event_id.isdecimal():
        after = int(last_event_id[:18])
    if follow:
        return streams.follow_drill(here, caller.tenant_id, run.id, after=after)
    events = runs.events(here.db, caller.tenant_id, run.id, after=after)
    page = values.Page(items=[drill_values.DrillEvent.model_validate(event) for event in events])
    return Response(page.model_dump_json(), media_type="application/json")


@router.get("/journals/{sha256}", responses=READS)
def get_journal(sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], here: Here, caller: Reading) -> Response:
    """One arm's journal as Chaos Toolkit JSON: the very bytes that have this SHA-256."""
    return Response(actions.journal(here, caller, sha256).content, media_type="application/json")


def _drill(one: Offered) -> drill_values.Drill:
    last = drill_values.DrillRun.model_validate(one.last) if one.last else None
    if one.drill is None:
        return drill_values.Drill(row=one.row, trouble=one.trouble)
    experiment = one.drill.experiment
    return drill_values.Drill(
        row=one.row,
        variant=experiment.variant,
        title=experiment.title,
        fault=experiment.fault,
        safety=experiment.safety,
        peers=[drill_values.Peer.model_validate(peer) for peer in experiment.peers],
        scale=experiment.scale,
        limit_seconds=experiment.limit_seconds,
        digest=one.drill.digest,
        last=last,
    )


def _arm(view: ArmView) -> drill_values.ArmInFull:
    return drill_values.ArmInFull(
        arm=view.arm,
        phase=view.phase,
        ending=view.ending,
        broken=view.broken,
        seconds=view.seconds,
        fault_began=view.fault_began,
        fault_ended=view.fault_ended,
        calls=len(view.samples),
        calls_broken=view.calls_broken,
        looks=[drill_values.Look.model_validate(look) for look in view.looks],
    )
