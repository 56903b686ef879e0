"""The pages of dependencies: how each provider is, for all processes together, and leaving one alone by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Path
from starlette.responses import Response

from prodsprints.controls.providers.dependencies.by_hand import Act
from prodsprints.controls.providers.dependencies.dependency import Dependency
from prodsprints.controls.providers.errors import FreezeInputError
from prodsprints.guard import Outcome
from prodsprints.kernel import clock
from prodsprints.web import dependencies, words
from prodsprints.web.api.answers import Here
from prodsprints.web.dependency_chart import gauge, highest, timeline
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import FormId, Trouble, Typed, act
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_UNPROCESSABLE = 422
_CHOICES = ((60, "1 minute"), (600, "10 minutes"), (3600, "1 hour"), (86_400, "1 day"))

Name = Annotated[str, Path(max_length=300)]


@router.get("/dependencies")
def listing(here: Here, caller: Reading) -> Response:
    """Every provider, those in trouble first."""
    found = dependencies.every(here, caller)
    return page(
        "dependencies.html",
        caller=caller,
        section="dependencies",
        dependencies=[(one, place(one.name), timeline(one, width=240, height=34, style=False)) for one in found],
        gauge=_gauge,
    )


@router.get("/dependencies/{provider:path}")
def dependency(provider: Name, here: Here, caller: Reading) -> Response:
    """One provider."""
    return _page(here, caller, provider)


@router.post("/dependencies/{provider:path}/freeze")
def freeze(
    provider: Name, here: Here, caller: Changing, form: FormId, seconds: Typed = "", key: Typed = ""
) -> Response:
    """Leave it, or one key, alone."""

    def perform(_: object) -> str:
        dependencies.freeze(here, caller, provider, key=key or None, seconds=_seconds(seconds))
        return place(provider)

    came = act(here, caller, form, ["freeze", provider, key, seconds], perform)
    return _page(here, caller, provider, came) if isinstance(came, Trouble) else came


@router.post("/dependencies/{provider:path}/thaw")
def thaw(provider: Name, here: Here, caller: Changing, form: FormId, key: Typed = "") -> Response:
    """Call it again."""

    def perform(_: object) -> str:
        dependencies.thaw(here, caller, provider, key=key or None)
        return place(provider)

    came = act(here, caller, form, ["thaw", provider, key], perform)
    return _page(here, caller, provider, came) if isinstance(came, Trouble) else came


def place(name: str) -> str:
    """Where a provider is shown."""
    return f"/dependencies/{quote(name, safe='')}"


def _page(here: Site, caller: Caller, provider: str, trouble: Trouble | None = None) -> Response:
    found = dependencies.get(here, caller, provider)
    now = clock.now()
    trips = [now - timedelta(seconds=age) for age in found.trips_seconds_ago]
    acts = dependencies.acts(here, [found])[found.name]
    return page(
        "dependency.html",
        caller=caller,
        section="dependencies",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        dependency=found,
        address=place(provider),
        chart=timeline(found, width=960, height=120, style=False),
        highest=highest(found),
        gauge=_gauge,
        trips=trips,
        past=_past(found.name, trips, acts),
        outcomes=[outcome for outcome in Outcome if _happened(found, outcome)],
        choices=_CHOICES,
        form_id=uuid4,
        can_freeze=any(scope.shared for scope in found.scopes),
        keys=[key for scope in found.scopes if scope.shared for key in scope.keys if key],
        state=_state(found),
        exhaustion=dependencies.exhaustion(here, caller, found),
        bucket_seconds=dependencies.bucket_seconds(found),
    )


def _happened(one: Dependency, outcome: Outcome) -> bool:
    return any(outcome in counted for counted in (one.outcomes, one.attempts, one.rejections))


def _past(name: str, trips: Sequence[datetime], acts: Sequence[Act]) -> list[tuple[datetime, str]]:
    """Trips and what people did, the newest first."""
    by_hand = {"freeze": "{} froze {} for {}", "thaw": "{} thawed {}, {} early"}
    done = [
        (act.at, by_hand[act.act].format(act.actor, _bucket(name, act.scope), words.duration(act.seconds)))
        for act in acts
    ]
    return sorted([(at, "Its circuit opened") for at in trips] + done, reverse=True)


def _bucket(name: str, shared: str) -> str:
    return "it" if shared == name else shared.removeprefix(f"{name}/")


def _state(one: Dependency) -> str:
    return one.circuit.value if one.is_fresh else "silent"


def _gauge(share: float, said: str) -> str:
    return gauge(share, said, style=False)


def _seconds(typed: str) -> float:
    try:
        return float(typed)
    except ValueError:
        raise FreezeInputError(
            f"{typed[:40]!r} is no number of seconds." if typed.strip() else "For how long is left open.",
            next_step="Give a number of seconds such as 600.",
        ) from None
