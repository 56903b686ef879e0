"""The page of watched services: how each is, which are public, and the form by which one is declared."""

from __future__ import annotations

from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from prodsprints.controls.integrations import services
from prodsprints.controls.integrations.errors import ServiceInputError
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.web import watching
from prodsprints.web.api.answers import Here
from prodsprints.web.api.status_values import Service
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import FormId, Trouble, Typed, act
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_SEE_OTHER = 303
_UNPROCESSABLE = 422


@router.get("/services")
def listing(here: Here, caller: Reading) -> Response:
    """Every service that is watched."""
    return _page(here, caller)


@router.post("/services")
def watch(
    here: Here,
    caller: Changing,
    form: FormId,
    name: Typed = "",
    url: Typed = "",
    expected: Typed = "",
    every: Typed = "",
    public: Typed = "",
) -> Response:
    """Declare one."""
    told = {"name": name, "url": url, "expected": expected, "every": every, "public": public}

    def perform(id: UUID) -> str:
        watching.watch(
            here,
            caller,
            name=name,
            url=url,
            expected_status=_status(expected.strip()),
            interval_seconds=_interval(every.strip()),
            public=bool(public),
            id=id,
        )
        return f"/services#service-{id}"

    came = act(here, caller, form, ["watch", told], perform)
    return _page(here, caller, told, came) if isinstance(came, Trouble) else came


@router.post("/services/{service_id}/show")
def show(service_id: UUID, here: Here, caller: Changing) -> Response:
    """Put it on the public page."""
    watching.show(here, caller, service_id, publicly=True)
    return RedirectResponse(f"/services#service-{service_id}", _SEE_OTHER)


@router.post("/services/{service_id}/hide")
def hide(service_id: UUID, here: Here, caller: Changing) -> Response:
    """Take it off the public page."""
    watching.show(here, caller, service_id, publicly=False)
    return RedirectResponse(f"/services#service-{service_id}", _SEE_OTHER)


@router.post("/services/{service_id}/unwatch")
def unwatch(service_id: UUID, here: Here, caller: Changing) -> Response:
    """Watch it no longer."""
    try:
        watching.unwatch(here, caller, service_id)
    except ProdSprintsError as error:
        return _page(here, caller, trouble=Trouble(error.what, error.next_step))
    return RedirectResponse("/services", _SEE_OTHER)


def _page(here: Site, caller: Caller, told: dict[str, str] | None = None, trouble: Trouble | None = None) -> Response:
    return page(
        "services.html",
        caller=caller,
        section="services",
        status=_UNPROCESSABLE if trouble else 200,
        services=[Service.of(one) for one in services.services(here.db, caller.tenant_id)],
        told=told or {"name": "", "url": "", "expected": "", "every": f"{services.INTERVAL_SECONDS:g}", "public": ""},
        trouble=trouble,
        form_id=uuid4(),
    )


def _status(typed: str) -> int | None:
    if not typed:
        return None
    if not (typed.isdecimal() and len(typed) <= 3):
        raise ServiceInputError(
            f"{typed[:40]!r} is no status of HTTP.", next_step="Give one such as 200, or nothing for any 2xx."
        )
    return int(typed)


def _interval(typed: str) -> float:
    try:
        return float(typed) if typed else services.INTERVAL_SECONDS
    except ValueError:
        raise ServiceInputError(
            f"{typed[:40]!r} is no interval.", next_step="Give a number of seconds, such as 30."
        ) from None
