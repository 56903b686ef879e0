"""Would the drills of a row notice a damaged control? Damaged copies of it are drilled, to see what goes unseen."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from uuid import UUID

from prodsprints.drills import engine, mutants, trace, verdict
from prodsprints.drills.arms import Played
from prodsprints.drills.catalog import Drill
from prodsprints.drills.engine import Result
from prodsprints.drills.errors import ExperimentError
from prodsprints.drills.mutants import Mutant
from prodsprints.drills.mutation_report import Fate, Report, Tried
from prodsprints.drills.stage import Arm
from prodsprints.drills.verdict import Outcome
from prodsprints.drills.workshop import Workshop
from prodsprints.kernel import clock
from prodsprints.kernel.settings import Settings
from prodsprints.store.address import Address

_NOBODY = UUID(int=0)
# As SQLAlchemy, through which schemas are made and nothing else goes, says what PostgreSQL said.
_SCHEMA_REFUSED = "(psycopg.errors."


def mutate(
    row: str,
    drills: Sequence[Drill],
    *,
    settings: Settings,
    admin: Address | None,
    most: int = 60,
    seed: int = 1,
    at_once: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Drill up to `most` damaged copies of the sources of `row`; the working tree stays as it is.

    Raises ExperimentError when a drill of the row does not hold on the sources as they are, before or afterwards: then
    what was seen may be the machine's doing.
    """
    began, started_at = time.monotonic(), clock.now()
    with ExitStack() as stack:
        benches: SimpleQueue[_Bench] = SimpleQueue()
        for _ in range(at_once):
            benches.put(_Bench(stack.enter_context(Workshop.over(drills)), settings, admin))
        with _borrowed(benches) as bench:
            workshop = bench.workshop
            played = [bench.baseline(drill) for drill in drills]
            for each in played:
                progress(f"{row} {each.drill.experiment.variant}: holds as it is")
            every = workshop.mutants()
            workshop.refuse_unknown_notes(every)
        beside = Counter(why for mutant in every if (why := workshop.beside_the_control(mutant)))
        every = [mutant for mutant in every if not workshop.beside_the_control(mutant)]
        covered = [mutant for mutant in every if any(each.executes(mutant) for each in played)]
        chosen = mutants.sample(covered, most, seed)

        def tried(numbered: tuple[int, Mutant]) -> Tried:
            number, mutant = numbered
            with _borrowed(benches) as bench, bench.workshop.damaged(mutant):
                executing = [each for each in played if each.executes(mutant)]
                found = bench.fate(str(mutant), executing)
            known = workshop.equivalent(mutant)
            if known and found.fate is not Fate.CAUGHT:
                found = replace(found, fate=Fate.EQUIVALENT, why=known)
            progress(f"{row} {number}/{len(chosen)} {found.fate}: {mutant}")
            return replace(found, operator=mutant.operator)

        with ThreadPoolExecutor(at_once) as pool:
            all_tried = tuple(pool.map(tried, enumerate(chosen, 1)))
        with _borrowed(benches) as bench:
            patch = None
            if workshop.patch.exists():
                with bench.workshop.patched():
                    patch = bench.fate(workshop.patch.name, played)
                progress(f"{row} {patch.fate}: {patch.what}")
            for drill in drills:
                bench.baseline(drill)
        return Report(
            row,
            started_at,
            time.monotonic() - began,
            seed,
            len(every),
            len(covered),
            all_tried,
            patch,
            _uncovered(workshop, played),
            dict(beside),
        )


@contextmanager
def _borrowed(benches: SimpleQueue[_Bench]) -> Iterator[_Bench]:
    bench = benches.get()
    try:
        yield bench
    finally:
        benches.put(bench)


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
            treatment = self._run(each.drill, (Arm.TREATMENT,)).treatment
            found = verdict.judge(each.drill.experiment, treatment, each.placebo)
            if found.outcome is Outcome.FAILED:
                return Tried(what, Fate.CAUGHT, found.reason, variant)
            if found.outcome is Outcome.HELD:
                fate = Fate.SURVIVED
            elif _is_unborn(treatment):
                fate = Fate.STILLBORN
            else:
                fate = Fate.UNDECIDED
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


def _is_unborn(treatment: Played) -> bool:
    """Whether it ended since its source cannot be loaded; a schema is loaded where the peers are started."""
    return treatment.phase == "import" or (treatment.phase == "stand" and _SCHEMA_REFUSED in treatment.broken)


def _uncovered(workshop: Workshop, played: Sequence[_Baseline]) -> dict[str, tuple[int, ...]]:
    uncovered = {}
    for name, path in workshop.modules().items():
        if path.suffix != ".py":
            continue  # all of a schema is executed when it is made; which of its functions are called is not traced
        executed = frozenset[int]().union(*(each.lines.get(name, frozenset()) for each in played))
        left = trace.statement_lines(path.read_text(encoding="utf-8")) - executed
        if left:
            uncovered[name] = tuple(sorted(left))
    return uncovered
