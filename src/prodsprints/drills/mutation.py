"""Would the drills of a row notice a damaged control? Damaged copies of it are drilled, to see what goes unseen."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from prodsprints.drills import engine, mutants, trace, verdict
from prodsprints.drills.arms import Played
from prodsprints.drills.catalog import Drill
from prodsprints.drills.engine import Result
from prodsprints.drills.errors import ExperimentError
from prodsprints.drills.mutants import Mutant
from prodsprints.drills.stage import Arm
from prodsprints.drills.verdict import Outcome
from prodsprints.drills.workshop import Workshop
from prodsprints.kernel.settings import Settings
from prodsprints.store.address import Address

_NOBODY = UUID(int=0)
_GOOD_SCORE = 0.9


class Fate(StrEnum):
    """What became of a mutant.

    Only a drill that *fails* has caught one. A mutant that ends the drill without a verdict, because it hangs or cannot
    be imported, is not caught: whoever watches the register would see nothing change but a date. What raises an
    exception through the control's own lines is a failing probe, in a drill of a mutant as in any other.
    """

    CAUGHT = "caught"
    SURVIVED = "survived"
    UNDECIDED = "undecided"
    EQUIVALENT = "equivalent"


@dataclass(frozen=True)
class Tried:
    """One mutant (or the author's patch), what became of it, and why."""

    what: str
    fate: Fate
    why: str
    variant: str


@dataclass(frozen=True)
class Report:
    """What the drills of one row noticed. `uncovered` are the sources' lines that no drill executes, by module."""

    row: str
    generated: int
    tried: tuple[Tried, ...]
    patch: Tried | None
    uncovered: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The share of the damages that change what the control does which the drills noticed."""
        counted = [each for each in self.tried if each.fate is not Fate.EQUIVALENT]
        return sum(each.fate is Fate.CAUGHT for each in counted) / len(counted) if counted else 1.0

    @property
    def is_good(self) -> bool:
        """Enough was noticed, and the author's own patch was."""
        return self.score >= _GOOD_SCORE and (self.patch is None or self.patch.fate is Fate.CAUGHT)

    @property
    def survivors(self) -> tuple[Tried, ...]:
        """All that was not caught."""
        return tuple(each for each in self.tried if each.fate is not Fate.CAUGHT)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "row": self.row,
            "score": round(self.score, 4),
            "generated": self.generated,
            "tried": len(self.tried),
            **{fate.value: sum(each.fate is fate for each in self.tried) for fate in Fate},
            "patch": None if self.patch is None else {"fate": self.patch.fate, "why": self.patch.why},
            "survivors": [vars(each) for each in self.survivors],
            "uncovered": {module: list(lines) for module, lines in self.uncovered.items()},
        }

    def as_text(self) -> str:
        """For people."""
        counts = ", ".join(
            f"{number} {fate.value}" for fate in Fate if (number := sum(each.fate is fate for each in self.tried))
        )
        lines = [
            f"{self.row}: {self.score:.0%} of {len(self.tried)} damages noticed ({counts};"
            f" drawn from {self.generated} in lines that the drills execute)"
        ]
        if self.patch is not None:
            lines.append(f"  the author's patch: {self.patch.fate}, {self.patch.why}")
        lines += [
            f"  {each.fate}: {each.what}" + ("" if each.fate is Fate.SURVIVED else f"\n    {each.why}")
            for each in self.survivors
        ]
        lines += [
            f"  not executed by any drill: {module}, lines {_ranges(numbers)}"
            for module, numbers in self.uncovered.items()
        ]
        return "\n".join(lines)


def mutate(
    row: str,
    drills: Sequence[Drill],
    *,
    settings: Settings,
    admin: Address | None,
    most: int = 60,
    seed: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Drill up to `most` damaged copies of the sources of `row`; the working tree stays as it is.

    Raises ExperimentError when a drill of the row does not hold on the sources as they are.
    """
    with Workshop.over(drills) as workshop:
        bench = _Bench(workshop, settings, admin)
        played = [bench.baseline(drill) for drill in drills]
        for each in played:
            progress(f"{row} {each.drill.experiment.variant}: holds as it is")
        every = workshop.mutants()
        covered = [mutant for mutant in every if any(each.executes(mutant) for each in played)]
        chosen = mutants.sample(covered, most, seed)
        tried = []
        for number, mutant in enumerate(chosen, 1):
            with workshop.damaged(mutant):
                tried.append(bench.fate(str(mutant), [each for each in played if each.executes(mutant)]))
            known = workshop.equivalent(mutant)
            if known and tried[-1].fate is not Fate.CAUGHT:
                tried[-1] = replace(tried[-1], fate=Fate.EQUIVALENT, why=known)
            progress(f"{row} {number}/{len(chosen)} {tried[-1].fate}: {mutant}")
        patch = None
        if workshop.patch.exists():
            with workshop.patched():
                patch = bench.fate(workshop.patch.name, played)
            progress(f"{row} {patch.fate}: {patch.what}")
        return Report(row, len(covered), tuple(tried), patch, _uncovered(workshop, played))


@dataclass(frozen=True)
class _Baseline:
    """A drill that held on the undamaged copy, with its placebo arm, which no damage of the sources can change."""

    drill: Drill
    placebo: Played
    lines: dict[str, frozenset[int]]

    def executes(self, mutant: Mutant) -> bool:
        """Whether its treatment arm executes the damaged line; importing executes those outside of functions."""
        lines = self.lines.get(mutant.module)
        return lines is not None and (mutant.line in lines or mutant.line not in mutant.in_functions)


@dataclass(frozen=True)
class _Bench:
    """Runs drills on the workshop's copy."""

    workshop: Workshop
    settings: Settings
    admin: Address | None

    def baseline(self, drill: Drill) -> _Baseline:
        result = self._run(drill, (Arm.PLACEBO, Arm.TREATMENT))
        found = verdict.judge(drill.experiment, result.treatment, result.placebo)
        if found.outcome is not Outcome.HELD or result.placebo is None:
            raise ExperimentError(
                f"{drill.experiment.row} {drill.experiment.variant} does not hold as it is, so no damage can be seen.",
                why=found.reason,
                next_step="Make its drill hold first.",
            )
        files = self.workshop.copies(drill)
        lines = {name: result.treatment.lines.get(str(path), frozenset()) for name, path in files.items()}
        return _Baseline(drill, result.placebo, lines)

    def fate(self, what: str, played: Sequence[_Baseline]) -> Tried:
        """Ask each drill in turn until one catches it."""
        tried = Tried(what, Fate.SURVIVED, "no drill of the row executes it", "")
        for each in played:
            variant = each.drill.experiment.variant
            found = verdict.judge(
                each.drill.experiment, self._run(each.drill, (Arm.TREATMENT,)).treatment, each.placebo
            )
            if found.outcome is Outcome.FAILED:
                return Tried(what, Fate.CAUGHT, found.reason, variant)
            fate = Fate.SURVIVED if found.outcome is Outcome.HELD else Fate.UNDECIDED
            tried = Tried(what, fate, found.reason, variant)
        return tried

    def _run(self, drill: Drill, arms: tuple[Arm, ...]) -> Result:
        place = Path(tempfile.mkdtemp(prefix="prodsprints-drill-"))
        place.chmod(0o755)
        try:
            return engine.run(
                drill.entry,
                settings=self.settings,
                on_event=lambda _: None,
                directory=place,
                tenant=_NOBODY,
                environment="demo",
                admin=self.admin,
                arms=arms,
                tree=self.workshop.tree,
            )
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _uncovered(workshop: Workshop, played: Sequence[_Baseline]) -> dict[str, tuple[int, ...]]:
    uncovered = {}
    for name, path in workshop.modules().items():
        executed = frozenset[int]().union(*(each.lines.get(name, frozenset()) for each in played))
        left = trace.statement_lines(path.read_text(encoding="utf-8")) - executed
        if left:
            uncovered[name] = tuple(sorted(left))
    return uncovered


def _ranges(numbers: Sequence[int]) -> str:
    """`12-14, 20`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
