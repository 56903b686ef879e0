"""Live logs as server-sent events: each can be cut at any moment and goes on where its reader left off."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import anyio
from anyio.to_thread import run_sync
from sse_starlette import EventSourceResponse, ServerSentEvent

from prodsprints.drills import runs
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.release import progress, records
from prodsprints.release.records import Environment
from prodsprints.web import applog
from prodsprints.web.api import drill_values, values
from prodsprints.web.site import Site

_LOOK_SECONDS = 0.3
_PING_SECONDS = 15
_RETRY_MS = 1000

DESCRIBED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}
"""How a stream stands in the OpenAPI document."""


def follow_release(here: Site, tenant_id: UUID, release_id: UUID, *, after: int) -> EventSourceResponse:
    """The events after `after` and those to come; an event `end` once the release has ended and all were sent."""
    here.streams.refuse_when_full()
    return EventSourceResponse(_release_events(here, tenant_id, release_id, after), ping=_PING_SECONDS)


def follow_drill(here: Site, tenant_id: UUID, run_id: UUID, *, after: int) -> EventSourceResponse:
    """What a drill has shown after `after`, and shows from now on; an event `end` once it has ended, all being sent."""
    here.streams.refuse_when_full()
    return EventSourceResponse(_drill_events(here, tenant_id, run_id, after), ping=_PING_SECONDS)


def follow_log(here: Site, environment: Environment, *, after: str | None) -> EventSourceResponse:
    """What the serving application writes, from `after` on; of a version that takes over, all from its start."""
    here.streams.refuse_when_full()
    return EventSourceResponse(_log_lines(here, environment, after), ping=_PING_SECONDS)


async def _release_events(here: Site, tenant_id: UUID, release_id: UUID, after: int) -> AsyncIterator[ServerSentEvent]:
    with here.streams.reader():
        yield ServerSentEvent(retry=_RETRY_MS, comment="events of one release")
        while True:
            try:
                # the release first: whatever it logged before it ended is then there to be read
                release = await run_sync(records.get, here.db, tenant_id, release_id)
                events = await run_sync(lambda: progress.events(here.db, tenant_id, release_id, after=after))  # noqa: B023 - called at once
            except ProdSprintsError:
                return  # the database is away: the reader comes back with Last-Event-ID and goes on
            for event in events:
                after = event.seq
                data = values.Event.model_validate(event).model_dump_json()
                yield ServerSentEvent(data, id=str(event.seq), event="log")
            if release is None or (release.status in records.ENDED and not events):
                status = release.status if release else "gone"
                yield ServerSentEvent(json.dumps({"status": status}), event="end")
                return
            if not events:
                await anyio.sleep(_LOOK_SECONDS)


async def _drill_events(here: Site, tenant_id: UUID, run_id: UUID, after: int) -> AsyncIterator[ServerSentEvent]:
    with here.streams.reader():
        yield ServerSentEvent(retry=_RETRY_MS, comment="events of one drill")
        while True:
            try:
                # the run first: whatever was seen before it ended is then there to be read
                run = await run_sync(runs.run, here.db, tenant_id, run_id)
                events = await run_sync(lambda: runs.events(here.db, tenant_id, run_id, after=after))  # noqa: B023 - called at once
            except ProdSprintsError:
                return
            for event in events:
                after = event.seq
                data = drill_values.DrillEvent.model_validate(event).model_dump_json()
                yield ServerSentEvent(data, id=str(event.seq), event="drill")
            if run is None or (run.status == "ended" and not events):
                outcome = run.outcome if run else "gone"
                yield ServerSentEvent(json.dumps({"outcome": outcome}), event="end")
                return
            if not events:
                await anyio.sleep(_LOOK_SECONDS)


async def _log_lines(here: Site, environment: Environment, after: str | None) -> AsyncIterator[ServerSentEvent]:
    with here.streams.reader():
        yield ServerSentEvent(retry=_RETRY_MS, comment="output of one application")
        while True:
            try:
                part = await run_sync(lambda: applog.read(here, environment, after=after))  # noqa: B023 - called at once
            except ProdSprintsError:
                return
            if part.text or part.dropped_lines:
                data = values.LogPart.model_validate(part).model_dump_json()
                yield ServerSentEvent(data, id=part.next, event="log")
            elif part.next == after:
                await anyio.sleep(_LOOK_SECONDS)
            after = part.next
