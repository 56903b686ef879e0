"""The shape of a measured figure and how it is printed, for every benchmark."""

from __future__ import annotations

import json as json_lines
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from statistics import median
from typing import Any, TextIO

Progress = Callable[[str], None]
Bench = Callable[[Progress], Iterator["Result"]]


def emit(result: Result, *, json: bool, out: TextIO) -> None:
    """Print one case: a JSON line for programs (ARCHITECTURE.md, "Interfaces"), else a line for people."""
    line = json_lines.dumps(result.as_json(), ensure_ascii=False, allow_nan=False) if json else result.as_text()
    out.write(line + "\n")
    out.flush()


@dataclass(frozen=True)
class Figure:
    """One measured value, with the number of runs behind it and their spread; None where it was never reached."""

    value: float | None
    runs: int
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True)
class Result:
    """One case of one benchmark: our figure, each peer's from the same run, and the limit we promise.

    The limit is the most that the figure may be, or with `at_least` the least.
    """

    bench: str
    case: str
    unit: str
    ours: Figure
    peers: Mapping[str, float | None] = field(default_factory=dict)
    bound: float | None = None
    missing: tuple[str, ...] = ()
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """True if the promise is kept, or none is made."""
        if self.bound is None or self.ours.value is None:
            return self.bound is None
        return self.ours.value >= self.bound if self.at_least else self.ours.value <= self.bound

    def as_json(self) -> dict[str, Any]:
        line: dict[str, Any] = {
            "schema": 1,
            "bench": self.bench,
            "case": self.case,
            "unit": self.unit,
            "ours": _rounded(self.ours.value),
            "peers": {name: _rounded(value) for name, value in self.peers.items()},
            "runs": self.ours.runs,
            "min": _rounded(self.ours.minimum),
            "max": _rounded(self.ours.maximum),
            "bound": self.bound,
            "host": host(),
        }
        if self.missing:
            line["missing"] = list(self.missing)
        return line

    def as_text(self) -> str:
        limit = "≥" if self.at_least else "≤"
        promise = "" if self.bound is None else f" (promised {limit} {self.bound:g}{'' if self.holds else ': MISSED'})"
        peers = ", ".join(f"{name} {_text(value)}" for name, value in self.peers.items())
        absent = f"; not here: {', '.join(self.missing)}" if self.missing else ""
        ours = f"{self.bench} {self.case}: {_text(self.ours.value)} {self.unit}{promise}"
        return f"{ours}, {self.ours.runs:,} runs" + (f"; {peers}" if peers else "") + absent


def interleave(subjects: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Figure]:
    """Measure `subjects` in turn, `rounds` times, each round starting with the next one; medians.

    Whatever else the machine does then hits all of them alike.
    """
    names = list(subjects)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for round_number in range(rounds):
        first = round_number % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(subjects[name]())
    return {name: Figure(median(values), rounds, min(values), max(values)) for name, values in samples.items()}


@cache
def host() -> dict[str, Any]:
    """The machine behind the figures, as far as it may matter to them."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _text(value: float | None) -> str:
    return "never" if value is None else f"{value:.4g}"
