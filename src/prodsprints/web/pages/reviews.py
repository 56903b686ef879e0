"""The pages of reviews: when each is due, what it has to look at, and what was decided."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.responses import Response

from prodsprints.kernel import clock
from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.validation import nearest
from prodsprints.ledger import people
from prodsprints.register import reviews
from prodsprints.register.agenda import Point, Why
from prodsprints.register.model import Cadence
from prodsprints.web import drill_list, governing, registers
from prodsprints.web.api.answers import Here
from prodsprints.web.api.register import HERE, Where
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import FormId, Trouble, Typed, act
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_UNPROCESSABLE = 422
_HISTORY = 50
_HEADINGS = {
    Why.INCIDENT: ("Incidents", "/incidents/"),
    Why.STATUS: ("Rows that do not hold", "/rows/"),
    Why.EXPIRING: ("Rows that end by themselves before the next review", "/rows/"),
    Why.ACCEPTANCE: ("Acceptances", "/risks/"),
    Why.REPORT: ("Reports under way", "/reports/"),
    Why.INDICATOR: ("Indicators", "/indicators#"),
}


@router.get("/reviews")
def calendar(here: Here, caller: Reading, where: Where = HERE) -> Response:
    """The calendar, the agenda of the review that is due first, and the reviews that were held."""
    shown = registers.of(here, caller.tenant_id, where)
    held = reviews.reviews(here.db, caller.tenant_id, limit=_HISTORY)
    return page(
        "reviews.html",
        caller=caller,
        section="reviews",
        environment=where,
        places=drill_list.environments(here, caller.tenant_id),
        assessment=shown.assessment,
        today=clock.now().date(),
        schedule=shown.schedule,
        cadences=reviews.CADENCES,
        first=shown.next_review,
        agenda=_grouped(registers.agenda(here, caller.tenant_id, shown, shown.next_review.kind).points),
        held=held,
        names=people.names(here.db, caller.tenant_id, {one.person for one in held}),
    )


@router.get("/reviews/new")
def new(here: Here, caller: Reading, kind: Cadence = Cadence.MONTHLY, where: Where = HERE) -> Response:
    """The agenda of one review, and the form in which it is recorded."""
    return _form(here, caller, kind, where, "", "")


@router.post("/reviews")
def record(
    here: Here,
    caller: Changing,
    form: FormId,
    kind: Typed = "",
    environment: Typed = HERE,
    attendees: Typed = "",
    decisions: Typed = "",
) -> Response:
    """Record it; the calendar shows when the next one is due."""

    def perform(id: UUID) -> str:
        governing.record_review(
            here,
            caller,
            kind=_cadence(kind),
            environment=environment,
            attendees=attendees,
            decisions=decisions,
            id=id,
        )
        return f"/reviews?environment={environment}#held"

    came = act(here, caller, form, ["review", kind, environment, attendees, decisions], perform)
    if isinstance(came, Trouble):
        known = kind if kind in set(Cadence) else Cadence.MONTHLY
        return _form(here, caller, Cadence(known), environment, attendees, decisions, came)
    return came


def _form(
    here: Site,
    caller: Caller,
    kind: Cadence,
    environment: str,
    attendees: str,
    decisions: str,
    trouble: Trouble | None = None,
) -> Response:
    shown = registers.of(here, caller.tenant_id, environment)
    return page(
        "review_new.html",
        caller=caller,
        section="reviews",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        form_id=uuid4(),
        kind=kind,
        of=reviews.CADENCES[kind],
        planned=shown.planned(kind),
        today=clock.now().date(),
        environment=environment,
        places=drill_list.environments(here, caller.tenant_id),
        assessment=shown.assessment,
        agenda=_grouped(registers.agenda(here, caller.tenant_id, shown, kind).points),
        attendees=attendees,
        decisions=decisions,
    )


def _grouped(points: Iterable[Point]) -> list[tuple[str, str, list[Point]]]:
    """The points by what puts them on the agenda: a heading, where such a thing is shown, and the points."""
    return [(*_HEADINGS[why], list(some)) for why, some in groupby(points, key=lambda point: point.why)]


def _cadence(kind: str) -> Cadence:
    if kind not in set(Cadence):
        raise UsageError(
            f"There is no {kind[:20]!r} review{nearest(kind, Cadence) or '.'}",
            next_step=f"Choose one of {', '.join(Cadence)}.",
        )
    return Cadence(kind)
