"""The pages of reported risks: from the first word of anybody to a risk that stands in the document and is watched."""

from __future__ import annotations

from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.responses import Response

from prodsprints.kernel import clock
from prodsprints.ledger import people
from prodsprints.register import escalation
from prodsprints.web import governing
from prodsprints.web.api.answers import Here
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import FormId, Trouble, Typed, act
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_UNPROCESSABLE = 422


@router.get("/reports")
def listing(here: Here, caller: Reading) -> Response:
    """Every report: the overdue ones first, the longest waiting before the others."""
    found, now = escalation.reports(here.db, caller.tenant_id), clock.now()
    late = escalation.overdue(found, now)
    return page(
        "reports.html",
        caller=caller,
        section="reports",
        reports=[*late, *(one for one in found if one not in late)],
        late=len(late),
        stages=escalation.STAGES,
    )


@router.get("/reports/new")
def new(caller: Reading) -> Response:
    """The form behind the button that every page has."""
    return _form(caller, "", "")


@router.post("/reports")
def report(here: Here, caller: Changing, form: FormId, title: Typed = "", description: Typed = "") -> Response:
    """Report it; its page shows what happens next, and until when."""

    def perform(id: UUID) -> str:
        return f"/reports/{governing.report_risk(here, caller, title=title, description=description, id=id).id}"

    came = act(here, caller, form, ["report", title, description], perform)
    return _form(caller, title, description, came) if isinstance(came, Trouble) else came


@router.get("/reports/{report_id}")
def one(report_id: UUID, here: Here, caller: Reading) -> Response:
    """One report and its stages."""
    return _page(here, caller, report_id)


@router.post("/reports/{report_id}/advance")
def advance(
    report_id: UUID, here: Here, caller: Changing, form: FormId, stage: Typed = "", note: Typed = ""
) -> Response:
    """Say that a stage is done. `stage` came with the form: a page that is old does not skip one."""

    def perform(_: UUID) -> str:
        governing.advance_report(here, caller, report_id, stage=stage, note=note)
        return f"/reports/{report_id}"

    came = act(here, caller, form, ["advance", str(report_id), stage, note], perform)
    return _page(here, caller, report_id, note, came) if isinstance(came, Trouble) else came


def _form(caller: Caller, title: str, description: str, trouble: Trouble | None = None) -> Response:
    return page(
        "report_new.html",
        caller=caller,
        section="reports",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        form_id=uuid4(),
        title=title,
        description=description,
        clocks=escalation.CLOCKS,
    )


def _page(here: Site, caller: Caller, id: UUID, note: str = "", trouble: Trouble | None = None) -> Response:
    found, now = escalation.get(here.db, caller.tenant_id, id), clock.now()
    return page(
        "report.html",
        caller=caller,
        section="reports",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        form_id=uuid4(),
        report=found,
        is_late=found.is_overdue(now),
        escalates_to=found.escalates_to(now),
        note=note,
        stages=escalation.STAGES,
        done={step.stage: step for step in found.steps},
        clocks=escalation.CLOCKS,
        names=people.names(here.db, caller.tenant_id, {step.person for step in found.steps}),
    )
