"""The pages of emergency contacts: who is called, and whether they were reached; names only for who is logged in."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from prodsprints.kernel.errors import UsageError
from prodsprints.register.contacts import TEST_EVERY, StartedTest
from prodsprints.web import contact_list, governing
from prodsprints.web.api.answers import Here
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import Trouble, Typed
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_SEE_OTHER = 303
_UNPROCESSABLE = 422


@router.get("/contacts")
def contacts(here: Here, caller: Reading) -> Response:
    """Every role and who is called for it."""
    return _page(here, caller)


@router.post("/contacts/{role}")
def set_contact(role: str, here: Here, caller: Changing, name: Typed = "", reach: Typed = "") -> Response:
    """Set who is reached where."""
    contact_list.one(here, caller, role)
    try:
        governing.set_contact(here, caller, role, name=name, reach=reach)
    except UsageError as error:
        return _page(here, caller, role, _trouble(error), typed=(name, reach))
    return _back(role)


@router.post("/contacts/{role}/remove")
def remove(role: str, here: Here, caller: Changing) -> Response:
    """Forget the contact of a role."""
    governing.remove_contact(here, caller, role)
    return _back(role)


@router.post("/contacts/{role}/test")
def test(role: str, here: Here, caller: Changing) -> Response:
    """Begin a test. The code is shown on this page and on no other: no address leads to it."""
    contact_list.one(here, caller, role)
    try:
        started = governing.test_contact(here, caller, role)
    except UsageError as error:
        return _page(here, caller, role, _trouble(error))
    return _page(here, caller, role, started=started)


@router.post("/contacts/{role}/confirm")
def confirm(role: str, here: Here, caller: Changing, code: Typed = "") -> Response:
    """The contact read the code back."""
    contact_list.one(here, caller, role)
    try:
        governing.confirm_contact(here, caller, role, code)
    except UsageError as error:
        return _page(here, caller, role, _trouble(error))
    return _back(role)


def _page(
    here: Site,
    caller: Caller,
    role: str = "",
    trouble: Trouble | None = None,
    *,
    typed: tuple[str, str] | None = None,
    started: StartedTest | None = None,
) -> Response:
    return page(
        "contacts.html",
        caller=caller,
        section="contacts",
        status=_UNPROCESSABLE if trouble else 200,
        contacts=contact_list.shown(here, caller),
        role=role,
        trouble=trouble,
        typed=typed,
        started=started,
        every=TEST_EVERY.days,
    )


def _back(role: str) -> Response:
    return RedirectResponse(f"/contacts#{role}", _SEE_OTHER)


def _trouble(error: UsageError) -> Trouble:
    return Trouble(" ".join(filter(None, (error.what, error.why))), error.next_step)
