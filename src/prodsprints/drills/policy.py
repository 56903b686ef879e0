"""Where which drill may be run, and what has to be there before."""

from __future__ import annotations

from dataclasses import dataclass

from prodsprints.drills.experiment import Safety

SCRATCH = frozenset({"demo"})
"""Environments that are there to be broken: placebos and destructive drills run only here."""


@dataclass(frozen=True)
class Refusal:
    """Why a drill may not be run there, and what to do."""

    why: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.why} {self.next_step}"


def refusal(row: str, safety: Safety, environment: str, *, has_placebo: bool) -> Refusal | None:
    """None if the drill may be run. `has_placebo`: a scratch run of the same digest held, and can be linked."""
    if environment in SCRATCH:
        return None
    if safety is Safety.DESTRUCTIVE:
        return Refusal(
            f"A destructive drill runs in scratch environments only, and {environment} is none.",
            f"Run it in the demo environment: prodsprints drill run {row}.",
        )
    if safety is Safety.REVERSIBLE:
        return Refusal(
            f"A reversible drill outside of a scratch environment, as {environment}, needs an approval, and approvals"
            " of drills are not there yet.",
            f"Run it in the demo environment: prodsprints drill run {row}.",
        )
    if not has_placebo:
        return Refusal(
            f"In {environment} only the treatment arm is run, and no scratch run of this very control has held: there"
            " is no placebo that its evidence could link.",
            f"Run it in the demo environment first: prodsprints drill run {row}.",
        )
    return None
