"""What to do next, derived from what is: a pure function of the state that the first page shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prodsprints.register.model import Mitigation
from prodsprints.register.rating import Level
from prodsprints.register.register import Register
from prodsprints.register.summary import Summary
from prodsprints.release.records import Environment, Release

Tone = Literal["bad", "warn", "live", "idle"]

_MOST_WRONG = 2
_WRONG: dict[str, tuple[Tone, str]] = {
    "rolled_back": ("warn", "was rolled back"),
    "refused": ("bad", "was refused"),
    "failed": ("bad", "failed"),
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
    environments: Sequence[Environment],
    latest: Sequence[Release],
    summary: Summary,
    critical: Sequence[Mitigation],
    *,
    workers: int,
    program: str,
) -> list[Action]:
    """The most urgent first. `latest` is each environment's newest release, `critical` the unproven critical rows."""
    return [
        *_without_worker(latest, workers, program),
        *_gone_wrong(latest),
        *_under_way(latest),
        *_first_release(environments, latest, program),
        *_reviews(summary),
        *_unproven(critical),
    ]


def unproven_critical(register: Register) -> list[Mitigation]:
    """The rows of critical-level risks that nothing proves; evidence does not exist yet, so these are all of them."""
    return [row for risk in register.risks if risk.level is Level.CRITICAL for row in risk.mitigations]


def _without_worker(latest: Sequence[Release], workers: int, program: str) -> Iterator[Action]:
    waiting = [release for release in latest if release.status in {"queued", "running"}]
    if waiting and workers == 0:
        yield Action(
            "bad", "Start a worker", f"{_name(waiting[0])} waits, and no worker is alive.", command=f"{program} up"
        )


def _gone_wrong(latest: Sequence[Release]) -> Iterator[Action]:
    wrong = [release for release in latest if release.status in _WRONG]
    for release in wrong[:_MOST_WRONG]:
        tone, words = _WRONG[release.status]
        yield Action(tone, f"See why {release.project} {release.label} {words}", release.reason, _page(release))


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


def _reviews(summary: Summary) -> Iterator[Action]:
    for review in summary.overdue:
        yield Action(
            "warn",
            f"Review {review.subject}",
            f"It was due on {review.due}; what it claims may no longer be so.",
            "/risks",
        )


def _unproven(critical: Sequence[Mitigation]) -> Iterator[Action]:
    if critical:
        yield Action(
            "idle",
            f"{len(critical)} rows of critical risks are unproven",
            "Each is claimed, and nothing here has shown it holding against a real fault.",
            "/risks#critical",
        )


def _name(release: Release) -> str:
    return f"{release.project} {release.label} → {release.environment}"


def _page(release: Release) -> str:
    return f"/releases/{release.id}"
