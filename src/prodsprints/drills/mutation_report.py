"""What the drills of one row noticed of damages to its control, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from prodsprints.kernel import clock

_GOOD_SCORE = 0.9


class Fate(StrEnum):
    """What became of a mutant.

    Only a drill that *fails* has caught one. A mutant that ends the drill without a verdict is not caught: whoever
    watches the register would see nothing change but a date. A control that raises, or that does not come back, is a
    failing probe, in a drill of a mutant as in any other. Stillborn is what cannot be imported, or what PostgreSQL
    does not take for a schema: no control ever comes of it. Equivalent is what its author says changes nothing that
    the row claims, and why.
    """

    CAUGHT = "caught"
    SURVIVED = "survived"
    UNDECIDED = "undecided"
    STILLBORN = "stillborn"
    EQUIVALENT = "equivalent"


@dataclass(frozen=True)
class Tried:
    """One mutant (or the author's patch), what became of it, and why."""

    what: str
    fate: Fate
    why: str
    variant: str
    operator: str = ""


@dataclass(frozen=True)
class Report:
    """What the drills of one row noticed.

    `generated` are all damages of its sources, `executed` those in lines that a drill executes, `tried` the sample of
    these that was drilled. `uncovered` are the sources' lines that no drill executes, by module; `beside` says how
    many damages were left out for which reason, since they are to what stands in the same file as the control.
    """

    row: str
    started_at: datetime
    seconds: float
    seed: int
    generated: int
    executed: int
    tried: tuple[Tried, ...]
    patch: Tried | None
    uncovered: dict[str, tuple[int, ...]] = field(default_factory=dict)
    beside: dict[str, int] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The share of the damages that change what the control does which the drills noticed."""
        return self._share([each for each in self.tried if each.fate not in {Fate.EQUIVALENT, Fate.STILLBORN}])

    @property
    def score_of_all(self) -> float:
        """The share of all damages that were tried, whatever somebody says of them."""
        return self._share(self.tried)

    @property
    def is_good(self) -> bool:
        """Enough was noticed, and the author's own patch was."""
        return self.score >= _GOOD_SCORE and self.patch is not None and self.patch.fate is Fate.CAUGHT

    @property
    def survivors(self) -> tuple[Tried, ...]:
        """All that was not caught."""
        return tuple(each for each in self.tried if each.fate is not Fate.CAUGHT)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        tried, caught = (
            Counter(each.operator for each in found)
            for found in (self.tried, [each for each in self.tried if each.fate is Fate.CAUGHT])
        )
        return {
            "row": self.row,
            "started_at": clock.iso(self.started_at),
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "score": round(self.score, 4),
            "score_of_all": round(self.score_of_all, 4),
            "generated": self.generated,
            "executed": self.executed,
            "tried": len(self.tried),
            **{fate.value: self._count(fate) for fate in Fate},
            "operators": {name: {"tried": tried[name], "caught": caught[name]} for name in sorted(tried)},
            "patch": None if self.patch is None else {"fate": self.patch.fate, "why": self.patch.why},
            "survivors": [vars(each) for each in self.survivors],
            "beside": self.beside,
            "uncovered": {module: list(lines) for module, lines in self.uncovered.items()},
        }

    def as_text(self) -> str:
        """For people."""
        counts = ", ".join(f"{number} {fate.value}" for fate in Fate if (number := self._count(fate)))
        lines = [
            f"{self.row}: {self.score:.0%} of the damages noticed that change something, {self.score_of_all:.0%} of"
            f" all {len(self.tried)} ({counts}; drawn from {self.executed} in lines that the drills execute, of"
            f" {self.generated})",
            f"  the author's patch: {self.patch.fate}, {self.patch.why}" if self.patch else "  no patch of the author",
        ]
        lines += [
            f"  {each.fate}: {each.what}" + ("" if each.fate is Fate.SURVIVED else f"\n    {each.why}")
            for each in self.survivors
        ]
        lines += [f"  left out, {number} damages: {why}" for why, number in self.beside.items()]
        lines += [
            f"  not executed by any drill: {module}, lines {ranges(numbers)}"
            for module, numbers in self.uncovered.items()
        ]
        return "\n".join(lines)

    def _count(self, fate: Fate) -> int:
        return sum(each.fate is fate for each in self.tried)

    @staticmethod
    def _share(counted: Sequence[Tried]) -> float:
        return sum(each.fate is Fate.CAUGHT for each in counted) / len(counted) if counted else 1.0


def ranges(numbers: Sequence[int]) -> str:
    """`12-14, 20`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)
