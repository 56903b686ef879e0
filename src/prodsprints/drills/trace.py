"""Which lines an arm executed, and which of them only the control can have brought in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prodsprints.drills import digest
from prodsprints.drills.arms import Played
from prodsprints.drills.experiment import Experiment

_INSTRUMENT = Path(__file__).parent


@contextmanager
def executed(entry: str, experiment: Experiment[Any, Any]) -> Iterator[dict[str, list[int]]]:
    """The lines that this process executes in the block, by file; filled in at its end.

    Traced are our own package, the experiment's and those of its sources, by coverage's tracer in C. Other processes
    that the subject starts are not seen.
    """
    import coverage

    lines: dict[str, list[int]] = {}
    # By file, not by package: for packages coverage would also parse each of their files that was never executed.
    tracer = coverage.Coverage(data_file=None, config_file=False, include=_traced(entry, experiment), messages=False)
    tracer.start()
    try:
        yield lines
    finally:
        tracer.stop()
        data = tracer.get_data()
        lines.update({path: sorted(data.lines(path) or ()) for path in data.measured_files()})


def outside(entry: str, experiment: Experiment[Any, Any], treatment: Played, placebo: Played) -> tuple[str, ...]:
    """`file:line` of each line that only the treatment executed and that no digest of this drill covers.

    Covered are what the experiment declares and the experiment's own module. Not counted are the engine of the drills,
    which is the measuring instrument, and what an import executes (everything outside of functions): a lazy import in
    one arm is no part of what the control does. Everything else counts, kernel and logging included: whatever only the
    control calls can break it.
    """
    covered = {path.resolve() for path in digest.source_files((*experiment.bound, entry.partition(":")[0])).values()}
    found: list[str] = []
    for name, lines in sorted(treatment.lines.items()):
        path = Path(name).resolve()
        if path in covered or path.is_relative_to(_INSTRUMENT):
            continue
        more = lines - placebo.lines.get(name, frozenset())
        if more:
            bodies = function_lines(path.read_text(encoding="utf-8"))
            found += [f"{_short(path)}:{line}" for line in sorted(more & bodies)]
    return tuple(found)


def function_lines(source: str) -> frozenset[int]:
    """The lines of all function bodies."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines.update(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
    return frozenset(lines)


def statement_lines(source: str) -> frozenset[int]:
    """The lines on which statements in function bodies begin, without docstrings and inner definitions."""
    bodies = function_lines(source)
    return frozenset(
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt)
        and node.lineno in bodies
        and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Global | ast.Nonlocal)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )


def _traced(entry: str, experiment: Experiment[Any, Any]) -> list[str]:
    named = ("prodsprints", entry.partition(":")[0], *experiment.bound)
    tops = {name.partition(":")[0].partition(".")[0] for name in named}
    files = [digest.origin(top) for top in sorted(tops)]
    return [f"{path.parent}/*" if path.name == "__init__.py" else str(path) for path in files]


def _short(path: Path) -> str:
    """From the package's own directory on."""
    top = path.parent
    while (top / "__init__.py").exists():
        top = top.parent
    return str(path.relative_to(top))
