"""What two arms prove, and why: a pure function of what they showed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from prodsprints.drills.arms import Ending, Group, Look, Played
from prodsprints.drills.experiment import Experiment


class Outcome(StrEnum):
    """What a run proves of its control.

    Held: it stood a fault that the bare peer did not stand. Failed: it did not. Invalid: the bare peer stood it as
    well, so the drill proves nothing about any control. None: the drill itself did not work.
    """

    HELD = "held"
    FAILED = "failed"
    INVALID = "invalid"
    NONE = "none"


@dataclass(frozen=True)
class Verdict:
    """The outcome, and the reason in a sentence."""

    outcome: Outcome
    reason: str


def judge(
    experiment: Experiment[Any, Any], treatment: Played, placebo: Played | None, outside: tuple[str, ...] = ()
) -> Verdict:
    """The verdict. `outside` are the lines that only the treatment executed and that lie outside the sources.

    Without `placebo` (outside of scratch environments it is not run; an earlier one is linked) nothing is asked of it.
    """
    return (
        _no_verdict(experiment, treatment, placebo)
        or _invalid(experiment, placebo)
        or _failed(treatment, outside)
        or Verdict(Outcome.HELD, _what_held(experiment, treatment, placebo))
    )


def _no_verdict(experiment: Experiment[Any, Any], treatment: Played, placebo: Played | None) -> Verdict | None:
    arms = [arm for arm in (placebo, treatment) if arm is not None]
    for arm in arms:
        if arm.ending is Ending.BROKEN:
            return Verdict(Outcome.NONE, f"The {arm.arm} arm gives no verdict: {arm.broken}.")
    # The bare peer's steady state is the system's own. Where that is fine and the treatment's is not, the control is
    # what breaks healthy calls: that is a verdict, below.
    unsteady = placebo if placebo is not None else treatment
    if unsteady.ending is Ending.UNSTEADY:
        look = _broken(unsteady, Group.STEADY)
        return Verdict(
            Outcome.NONE,
            f"The system was broken before the fault, so nothing can be said of the control: {_said(look)}.",
        )
    for arm in arms:
        seen = arm.look(experiment.seen.name)
        if arm.ending is Ending.PLAYED and (seen is None or not seen.holds):
            return Verdict(Outcome.NONE, f"In the {arm.arm} arm the peer did not see the fault: {_said(seen)}.")
    return None


def _invalid(experiment: Experiment[Any, Any], placebo: Played | None) -> Verdict | None:
    named = placebo.look(experiment.named) if placebo is not None else None
    if named is None or not named.holds:
        return None
    return Verdict(
        Outcome.INVALID,
        f"The bare peer held as well, so this drill proves nothing about the control: {_said(named)}.",
    )


def _failed(treatment: Played, outside: tuple[str, ...]) -> Verdict | None:
    if treatment.ending is Ending.UNSTEADY:
        look = _broken(treatment, Group.STEADY)
        return Verdict(
            Outcome.FAILED,
            f"The control breaks what works without it, before any fault: {_said(look)}.",
        )
    hung = _broken(treatment, Group.STEADY) if treatment.ending is Ending.HUNG else None
    broken = hung or _broken(treatment, Group.PROBES) or _broken(treatment, Group.AFTER)
    if broken is not None:
        return Verdict(Outcome.FAILED, f"The control did not hold: {_said(broken)}.")
    if outside:
        more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        return Verdict(
            Outcome.FAILED,
            f"Only the treatment executes {outside[0]}{more}, outside of the declared sources: the evidence would stay"
            " valid although that code changes. Add its module to the experiment's sources, or to what it uses.",
        )
    return None


def _what_held(experiment: Experiment[Any, Any], treatment: Played, placebo: Played | None) -> str:
    ours = f"The control held: {_said(treatment.look(experiment.named))}."
    return ours if placebo is None else f"{ours} Without it: {_said(placebo.look(experiment.named))}."


def _broken(arm: Played, group: Group) -> Look | None:
    return next((look for look in arm.of(group) if not look.holds), None)


def _said(look: Look | None) -> str:
    return "the probe was not reached" if look is None else f"{look.name}: {look.words.rstrip('.')}"
