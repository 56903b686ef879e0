"""The pages of drills: what can be broken, one run with both of its arms side by side, and an arm's journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Path, Query
from starlette.responses import RedirectResponse, Response

from prodsprints.drills import policy, runs
from prodsprints.drills.arms import Ending, Look
from prodsprints.drills.journal import Journal
from prodsprints.drills.runs import DrillRun
from prodsprints.drills.stage import Arm
from prodsprints.web import actions, cursors, drill_list, drill_view, journals, moved, words
from prodsprints.web.api.answers import Here
from prodsprints.web.drill_chart import Axes, drill_chart
from prodsprints.web.drill_view import PHASES, ArmView, Described
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_SEE_OTHER = 303
_PER_PAGE = 20
_LOOKED_AT = 200
_SCRATCH = min(policy.SCRATCH)


@router.get("/drills")
def drills(
    here: Here,
    caller: Reading,
    environment: Annotated[str, Query(min_length=1, max_length=40)] = _SCRATCH,
    cursor: Annotated[str | None, Query(max_length=cursors.LONGEST)] = None,
) -> Response:
    """Every drill there is, its last outcome in one environment, and the newest runs there."""
    before = cursors.decode(cursor) if cursor is not None else None
    offered = drill_list.offered(here, caller.tenant_id, environment)
    found = runs.runs(here.db, caller.tenant_id, environment=environment, before=before, limit=_PER_PAGE + 1)
    return page(
        "drills.html",
        caller=caller,
        section="drills",
        environment=environment,
        environments=drill_list.environments(here, caller.tenant_id),
        offered=offered,
        rows=len(here.register_of(caller.tenant_id).mitigations),
        rows_with_drill=len({one.row for one in offered}),
        runs=found[:_PER_PAGE],
        earlier=cursors.encode(found[_PER_PAGE - 1].position) if len(found) > _PER_PAGE else "",
    )


@router.post("/drills/{row}/runs")
def break_it(
    row: str,
    id: Annotated[UUID, Form()],
    here: Here,
    caller: Changing,
    environment: Annotated[str, Form(max_length=40)] = _SCRATCH,
    variant: Annotated[str | None, Form(max_length=80)] = None,
) -> Response:
    """Break it, and watch; `id` came with the form, so that a second click is the same run."""
    run = actions.break_it(here, caller, row, variant=variant, environment=environment, id=id)
    return RedirectResponse(f"/drill-runs/{run.id}", _SEE_OTHER)


@router.get("/drill-runs/{run_id}")
def drill_run(run_id: UUID, here: Here, caller: Reading) -> Response:
    """One run: both arms as they are played, what held and in how long, and what it did to the row."""
    run = actions.drill_run(here, caller, run_id)
    events = drill_view.events_of(here.db, caller.tenant_id, run)
    arms = drill_view.arms(events)
    about = drill_view.described(here.db, caller.tenant_id, here.catalog, run)
    axes = Axes.of(arms)
    ended = run.status == "ended"
    offered = drill_list.offered(here, caller.tenant_id, run.environment) if ended else []
    return page(
        "drill_run.html",
        caller=caller,
        section="drills",
        run=run,
        about=about,
        ended=ended,
        sentence=run.reason or words.run_meanwhile(run),
        figures=drill_view.figures(run.measured or arms[0].measured) if events else [],
        broken_calls=[(arm.arm, arm.calls_broken, len(arm.samples)) for arm in arms if arm.samples],
        moved=moved.by(here, caller.tenant_id, run),
        again=next((one for one in offered if one.is_of(run)), None),
        arms=[
            ArmShown.of(arm, about, drill_chart(arm, about.fault, axes, style=False), ended=ended)
            for arm in arms
            if arm.arm is Arm.TREATMENT or run.environment in policy.SCRATCH
        ],
        after=events[-1].seq if events else 0,
    )


@router.get("/journals/{sha256}")
def journal(sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], here: Here, caller: Reading) -> Response:
    """One arm's journal, readable: what was steady, what was done, what was seen, and what was put back."""
    found = actions.journal(here, caller, sha256)
    return page(
        "journal.html",
        caller=caller,
        section="drills",
        sha256=sha256,
        run=_run_of(here, caller, found),
        journal=journals.readable(found),
    )


@dataclass(frozen=True)
class LookShown:
    """A probe's look as the page shows it; what must break in the placebo arm is no bad news there."""

    look: Look
    tone: str
    word: str
    must_break: bool


@dataclass(frozen=True)
class ArmShown:
    """One arm as the page shows it."""

    view: ArmView
    word: str
    tone: str
    phases: tuple[tuple[str, str], ...]
    looks: tuple[LookShown, ...]
    chart: str

    @staticmethod
    def of(view: ArmView, about: Described, chart: str, *, ended: bool) -> ArmShown:
        """Put together; `ended` is whether nothing more will come of it."""
        word, tone = _standing(view, about, ended)
        phases = tuple(_phases(view, ended or view.ending is not None))
        return ArmShown(view, word, tone, phases, tuple(_looks(view, about)), chart)


def _run_of(here: Site, caller: Caller, journal: Journal) -> DrillRun | None:
    """The run that wrote it, or the newest that links it."""
    row = str(journal.document()["experiment"]["tags"][0])
    of_row = runs.runs(here.db, caller.tenant_id, row=row, limit=_LOOKED_AT)
    return next(
        (run for run in reversed(of_row) if journal.sha256 in (run.treatment_journal, run.placebo_journal)), None
    )


def _standing(view: ArmView, about: Described, ended: bool) -> tuple[str, str]:
    if view.ending is None and ended:
        return ("Broken off", "warn") if view.phases else ("Not played", "idle")
    if view.ending is None:
        return ("Being played", "live") if view.phases else ("Waits", "idle")
    if view.ending is Ending.BROKEN:
        return "No verdict", "warn"
    if view.is_unsteady:
        return "Broken before the fault", "bad"
    named = next((look for look in view.looks if look.name == about.named), None)
    if view.arm is Arm.PLACEBO:
        return ("Held, which proves nothing", "bad") if named and named.holds else ("Broke, as it must", "good")
    return ("Broke", "bad") if any(not look.holds for look in view.looks) else ("Held", "good")


def _phases(view: ArmView, ended: bool) -> Iterator[tuple[str, str]]:
    entered = [name for name, _ in view.phases]
    for name in PHASES:
        if view.arm is Arm.PLACEBO and name == "after":
            continue
        if name == view.phase and not ended:
            yield name, "now"
        elif name in entered:
            yield name, "past"
        else:
            yield name, "never" if ended else "next"


def _looks(view: ArmView, about: Described) -> Iterator[LookShown]:
    for look in view.looks:
        must_break = view.arm is Arm.PLACEBO and look.name == about.named
        if look.holds:
            yield LookShown(look, "bad" if must_break else "good", "Held", must_break)
        else:
            yield LookShown(look, "bad", "Broke", must_break)
