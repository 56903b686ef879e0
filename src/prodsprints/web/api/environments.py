"""Environments over the API: what serves where, its output, going back, and a stuck lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from prodsprints.release import records
from prodsprints.web import actions, applog, streams
from prodsprints.web.api import values
from prodsprints.web.api.answers import CHANGES, READS, Here, Key, answered
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Changing, Reading

router = APIRouter(tags=["environments"])

_After = Annotated[
    str | None,
    Query(max_length=120, description="`next` of an earlier part, or an offset in bytes; negative: from the end."),
]


@router.get("/environments", responses=READS)
def list_environments(here: Here, caller: Reading) -> values.Page[values.Environment]:
    """Every environment, by project and name."""
    serving = records.serving(here.db, caller.tenant_id)
    return values.Page(items=[_environment(one, serving) for one in records.environments(here.db, caller.tenant_id)])


@router.get("/environments/{environment_id}", responses=READS)
def get_environment(environment_id: UUID, here: Here, caller: Reading) -> values.Environment:
    """One environment and what it serves."""
    environment = actions.environment(here, caller, environment_id)
    return _environment(environment, records.serving(here.db, caller.tenant_id))


@router.get("/environments/{environment_id}/log", responses=READS)
def read_log(
    environment_id: UUID,
    here: Here,
    caller: Reading,
    after: _After = None,
    limit: Annotated[int, Query(ge=1, le=1_048_576, description="In bytes.")] = 65_536,
) -> values.LogPart:
    """A part of what the serving application wrote."""
    environment = actions.environment(here, caller, environment_id)
    return values.LogPart.model_validate(applog.read(here, environment, after=after, limit=limit))


@router.get("/environments/{environment_id}/log/stream", response_class=Response, responses=READS | streams.DESCRIBED)
def follow_log(
    environment_id: UUID,
    here: Here,
    caller: Reading,
    after: _After = None,
    last_event_id: Annotated[str | None, Header(max_length=120)] = None,
) -> Response:
    """The same as server-sent events, without end. Resumes after Last-Event-ID or `after`."""
    environment = actions.environment(here, caller, environment_id)
    return streams.follow_log(here, environment, after=last_event_id or after)


@router.post(
    "/environments/{environment_id}/rollback", status_code=202, response_model=values.Release, responses=CHANGES
)
def roll_back(environment_id: UUID, here: Here, caller: Changing, key: Key = None) -> Response:
    """Queue a rollback to the version that was kept before the current one."""

    def perform(id: UUID) -> Answer:
        release = actions.roll_back(here, caller, environment_id, id=id)
        return Answer(202, values.Release.model_validate(release).model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "rollback", environment_id], perform))


@router.post("/environments/{environment_id}/unlock", response_model=values.Unlocked, responses=CHANGES)
def unlock(environment_id: UUID, body: values.Unlock, here: Here, caller: Changing, key: Key = None) -> Response:
    """Take its lock away from a worker that is gone or, with `force`, from one that is alive."""

    def perform(_: UUID) -> Answer:
        lease = actions.unlock(here, caller, environment_id, force=body.force)
        return Answer(200, values.Unlocked.model_validate({"lease": lease}).model_dump(mode="json"))

    asked = [caller.actor, "unlock", environment_id, body.force]
    return answered(once(here.db, caller.tenant_id, key, asked, perform))


def _environment(environment: records.Environment, serving: Mapping[UUID, records.Release]) -> values.Environment:
    current = environment.current_release_id
    release = serving.get(current) if current else None
    return values.Environment(
        id=environment.id,
        project=environment.project,
        name=environment.name,
        repository=environment.repository,
        node=environment.node,
        port=environment.port,
        address=f"http://127.0.0.1:{environment.port}" if environment.port else None,
        current_release_id=current,
        current_label=release.label if release else None,
        withdrawn=environment.withdrawn,
    )
