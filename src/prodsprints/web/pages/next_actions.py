"""What to do next, derived from what is: a pure function of the state that the first page shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from heapq import nsmallest
from typing import Literal

from prodsprints.register.assessment import Assessment, LogState
from prodsprints.register.status import RowStatus, Status
from prodsprints.release.records import Environment, Release
from prodsprints.web import words
from prodsprints.web.registers import Shown

Tone = Literal["bad", "warn", "live", "idle"]

_MOST_WRONG = 2
_SOON = timedelta(days=2)
_WRONG: dict[str, tuple[Tone, str]] = {
    "rolled_back": ("warn", "was rolled back"),
    "refused": ("bad", "was refused"),
    "failed": ("bad", "failed"),
}
_BAD_ROWS = {
    Status.INVALID: "proves nothing: its drill is invalid",
    Status.CONTRADICTED: "is contradicted by an incident",
    Status.FAILING: "is failing",
    Status.STALE: "is stale: drill it again",
}


@dataclass(frozen=True)
class Action:
    """One thing to do: what, why, and either where (`href`) or the exact command."""

    tone: Tone
    title: str
    why: str
    href: str = ""
    command: str = ""


def next_actions(
    environments: Sequence[Environment], latest: Sequence[Release], shown: Shown, *, workers: int, program: str
) -> list[Action]:
    """The most urgent first. `latest` is each environment's newest release."""
    return [
        *_tampered(shown),
        *_without_worker(latest, workers, program),
        *_bad_rows(shown),
        *_gone_wrong(latest),
        *_under_way(latest),
        *_first_release(environments, latest, program),
        *_reviews(shown),
        *_expiring(shown),
        *_unproven(shown),
    ]


def _tampered(shown: Shown) -> Iterator[Action]:
    if shown.assessment.log.state is LogState.TAMPERED:
        yield Action("bad", "The log was tampered with", shown.assessment.log.reason, "/evidence")


def _without_worker(latest: Sequence[Release], workers: int, program: str) -> Iterator[Action]:
    waiting = [release for release in latest if release.status in {"queued", "running"}]
    if waiting and workers == 0:
        yield Action(
            "bad", "Start a worker", f"{_name(waiting[0])} waits, and no worker is alive.", command=f"{program} up"
        )


def _bad_rows(shown: Shown) -> Iterator[Action]:
    if shown.assessment.log.state is LogState.TAMPERED:
        return  # every row is invalid then, for that one reason
    for row in shown.assessment.once(_worst):
        tone: Tone = "warn" if row.status is Status.STALE else "bad"
        yield Action(
            tone,
            f"{row.row} {_BAD_ROWS[row.status]}",
            words.reason(row.reason),
            f"/rows/{row.row}?environment={row.environment}",
        )


def _worst(assessment: Assessment) -> list[RowStatus]:
    bad = (row for row in assessment.rows.values() if row.status in _BAD_ROWS)
    return nsmallest(_MOST_WRONG, bad, key=lambda row: (row.status.place, row.row))


def _gone_wrong(latest: Sequence[Release]) -> Iterator[Action]:
    wrong = [release for release in latest if release.status in _WRONG]
    for release in wrong[:_MOST_WRONG]:
        tone, ended = _WRONG[release.status]
        yield Action(tone, f"See why {release.project} {release.label} {ended}", release.reason, _page(release))


def _under_way(latest: Sequence[Release]) -> Iterator[Action]:
    for release in latest:
        if release.status == "running":
            title = f"Watch {release.project} {release.label} go to {release.environment}"
            yield Action("live", title, "Promote or abort it there; the verdict does it otherwise.", _page(release))


def _first_release(environments: Sequence[Environment], latest: Sequence[Release], program: str) -> Iterator[Action]:
    if not environments or not latest:
        yield Action(
            "idle",
            "Release your first repository",
            "`audit` says what a repository is, with file and line; `release` in its place releases it.",
            command=f"{program} audit ~/app",
        )


def _reviews(shown: Shown) -> Iterator[Action]:
    for review in shown.overdue:
        yield Action(
            "warn",
            f"Review {review.subject}",
            f"It was due on {review.due}; what it claims may no longer be so.",
            "/reviews",
        )


def _expiring(shown: Shown) -> Iterator[Action]:
    """What is good now and ends by itself soon."""
    ending = shown.assessment.ending(shown.assessment.now + _SOON)
    if ending:
        first = ending[0]
        more = f" and {len(ending) - 1} more" if len(ending) > 1 else ""
        yield Action(
            "idle",
            f"{first.row}{more} will not be fresh for long",
            "Its evidence or its signature ends within two days.",
            f"/rows/{first.row}?environment={first.environment}",
        )


def _unproven(shown: Shown) -> Iterator[Action]:
    unproven = shown.assessment.critical.unproven
    if unproven:
        yield Action(
            "idle",
            f"{unproven} rows of critical risks are unproven",
            "Each is claimed, and nothing here has shown it holding against a real fault.",
            "/risks#critical",
        )


def _name(release: Release) -> str:
    return f"{release.project} {release.label} → {release.environment}"


def _page(release: Release) -> str:
    return f"/releases/{release.id}"
