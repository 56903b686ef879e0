"""Dependencies over the API: how the platform's providers are, leaving one alone by hand, and a scrape of it all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Path
from starlette.responses import Response

from prodsprints.controls.providers.dependencies.dependency import Dependency
from prodsprints.kernel import clock
from prodsprints.web import dependencies
from prodsprints.web.api import dependency_values as values
from prodsprints.web.api.answers import CHANGES, READS, Here, Key, answered
from prodsprints.web.api.values import Page
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.site import Site

router = APIRouter(prefix="/dependencies", tags=["dependencies"])
scrape = APIRouter(tags=["dependencies"])

Name = Annotated[str, Path(max_length=300, description="Its slashes may stand as they are, or as `%2F`.")]


@router.get("", responses=READS)
def list_dependencies(here: Here, caller: Reading) -> Page[values.Dependency]:
    """Every provider that a process of the platform calls, those in trouble first."""
    return Page(items=_shown(here, caller, dependencies.every(here, caller)))


@router.get("/{provider:path}", responses=READS)
def get_dependency(provider: Name, here: Here, caller: Reading) -> values.Dependency:
    """One provider."""
    return _shown(here, caller, [dependencies.get(here, caller, provider)])[0]


@router.post("/{provider:path}/freeze", response_model=values.Dependency, responses=CHANGES)
def freeze(provider: Name, body: values.Freeze, here: Here, caller: Changing, key: Key = None) -> Response:
    """Have no process call it for a while: the whole fleet knows within a tenth of a second. A longer freeze stays."""

    def perform(_: object) -> Answer:
        frozen = dependencies.freeze(here, caller, provider, key=body.key, seconds=body.seconds)
        return Answer(200, _shown(here, caller, [frozen])[0].model_dump(mode="json"))

    asked = [caller.actor, "freeze", provider, body.key, repr(body.seconds)]
    return answered(once(here.db, caller.tenant_id, key, asked, perform))


@router.post("/{provider:path}/thaw", response_model=values.Dependency, responses=CHANGES)
def thaw(provider: Name, body: values.Thaw, here: Here, caller: Changing, key: Key = None) -> Response:
    """Have it called again, at the rate of its limit and from an empty bucket on."""

    def perform(_: object) -> Answer:
        thawed = dependencies.thaw(here, caller, provider, key=body.key)
        return Answer(200, _shown(here, caller, [thawed])[0].model_dump(mode="json"))

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "thaw", provider, body.key], perform))


@scrape.get("/metrics", response_class=Response, responses=READS | {200: {"content": {"text/plain": {}}}})
def metrics(here: Here, caller: Reading, accept: Annotated[str, Header(max_length=1000)] = "") -> Response:
    """What the guards of every process that is alive count, for Prometheus; each sample names its worker."""
    from prodsprints.guard.prometheus import exposition  # only who is scraped needs it

    seen = dependencies.scraped(here, caller)
    body, media_type = exposition(lambda: seen, accept)
    return Response(body, headers={"content-type": media_type})


def _shown(here: Site, caller: Caller, found: Sequence[Dependency]) -> list[values.Dependency]:
    acts, now = dependencies.acts(here, found), clock.now()
    return [
        values.dependency(
            one, acts[one.name], dependencies.exhaustion(here, caller, one), dependencies.bucket_seconds(one), now
        )
        for one in found
    ]
