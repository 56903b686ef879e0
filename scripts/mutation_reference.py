"""Writes docs/reference/mutation.md from what `prodsprints drill mutate --json` printed: FILE… of JSON lines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prodsprints.drills.mutation_report import Fate, ranges

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "reference" / "mutation.md"

_HEAD = """\
# Mutation

Written by `make mutants` from what it measured, at commit {commit}. What it means stands in
[drills](../explanation/drills.md#would-it-notice).

Damaged are comparisons, boolean and arithmetic operators, negations, conditions, truth values, numbers (each becomes 0,
and each becomes n + 1 or, with a point, ten times as much), returned values, and statements, which are left out; in SQL
the same, but for returned values. Texts, annotations, assertions, logging and what an error says stay as they are.

*Tried* is the sample that was drilled, drawn by the seed from the damages in lines that a drill executes. *Caught* is
what made a drill **fail**; nothing else counts. *Survived*: the drill held. *Undecided*: it gave no verdict.
*Stillborn*: with it the source cannot be imported, or PostgreSQL refuses the schema. *Equivalent*: not caught, and the
author says why it changes nothing that the row claims; each is listed below. The *score* is caught ÷ (tried -
equivalent - stillborn), *of all* is caught ÷ tried.

| row | generated | executed | tried | caught | survived | undecided | stillborn | equivalent | score | of all | patch |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
_LISTED = {
    Fate.SURVIVED: "Survived: the drills held, so they are blind to these",
    Fate.UNDECIDED: "Undecided",
    Fate.EQUIVALENT: "Equivalent, as the author says",
    Fate.STILLBORN: "Stillborn",
}


def main(arguments: list[str]) -> int:
    """Write the page; a row that stands in several lines is taken from the last."""
    reports: dict[str, dict[str, Any]] = {}
    for name in arguments:
        for line in Path(name).read_text(encoding="utf-8").splitlines():
            report = json.loads(line)
            if report["line"] == "mutation":
                reports[report["row"]] = report
    if not reports:
        print("There is no report in what was named: run `make mutants`.", file=sys.stderr)
        return 1
    TARGET.write_text(page(reports), encoding="utf-8")
    return 0


def page(reports: dict[str, dict[str, Any]]) -> str:
    """The whole page."""
    rows = [reports[row] for row in sorted(reports)]
    table = "\n".join(f"| {' | '.join(_cells(report))} |" for report in [*rows, _total(rows)])
    sections = "\n\n".join("\n".join(_section(report)) for report in rows)
    return f"{_HEAD.format(commit=_commit())}{table}\n\n{sections}\n"


def _cells(report: dict[str, Any]) -> list[str]:
    numbers = ("generated", "executed", "tried", "caught", "survived", "undecided", "stillborn", "equivalent")
    shares = (f"{report['score']:.1%}", f"{report['score_of_all']:.1%}")
    patch = report["patch"]["fate"] if report["patch"] else "none"
    return [report["row"], *(str(report[name]) for name in numbers), *shares, patch]


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {
        name: sum(report[name] for report in rows)
        for name in ("generated", "executed", "tried", "caught", "survived", "undecided", "stillborn", "equivalent")
    }
    counted = total["tried"] - total["equivalent"] - total["stillborn"]
    caught = sum(bool(report["patch"]) and report["patch"]["fate"] == Fate.CAUGHT for report in rows)
    return {
        **total,
        "row": "all",
        "score": total["caught"] / counted if counted else 1.0,
        "score_of_all": total["caught"] / total["tried"] if total["tried"] else 1.0,
        "patch": {"fate": f"{caught} of {len(rows)} caught"},
    }


def _section(report: dict[str, Any]) -> Iterator[str]:
    yield f"## {report['row']}"
    yield ""
    yield f"Begun {report['started_at']}, {report['seconds']:.0f} s, seed {report['seed']}. Caught by operator:"
    operators = report["operators"].items()
    yield ", ".join(f"{name} {counts['caught']} of {counts['tried']}" for name, counts in operators) + "."
    if report["patch"]:
        yield f"The author's patch is {report['patch']['fate']}: {report['patch']['why']}"
    for fate, heading in _LISTED.items():
        found = [each for each in report["survivors"] if each["fate"] == fate]
        if found:
            yield from ("", f"{heading}:", "")
            for each in found:
                yield f"- `{_code(each['what'])}`" + ("" if fate is Fate.SURVIVED else f": {each['why']}")
    if report["beside"]:
        yield from ("", "In the same files as the control, and no part of it, so not damaged:", "")
        yield from (f"- {number} damages: {why}" for why, number in report["beside"].items())
    if report["uncovered"]:
        yield from ("", "Not executed by any drill, so not damaged:", "")
        yield from (f"- `{module}`, lines {ranges(lines)}" for module, lines in report["uncovered"].items())


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


def _commit() -> str:
    head = _git("rev-parse", "--short=12", "HEAD")
    return f"{head}, with changes that are not committed yet" if _git("status", "--porcelain", "src") else head


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
