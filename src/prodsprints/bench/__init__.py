"""The measured figures: each benchmark runs the real path beside its named peers."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TextIO

from prodsprints.bench.errors import MissingPackageError, UnknownBenchError
from prodsprints.bench.report import Bench, emit

# Name on the command line → module with a `cases(progress)` of type Bench; imported only when it is run.
BENCHES = {
    "canary": "prodsprints.bench.canary",
    "fault-proxy": "prodsprints.bench.fault_proxy",
    "guard": "prodsprints.bench.guard",
    "leases": "prodsprints.bench.leases",
    "ledger": "prodsprints.bench.ledger",
    "notify": "prodsprints.bench.notify",
    "register": "prodsprints.bench.register",
    "workflow": "prodsprints.bench.workflow",
}


def run(name: str, *, json: bool, out: TextIO | None = None, progress: TextIO | None = None) -> None:
    """Run the benchmark `name`; results go to `out` (stdout) as each case ends, progress to `progress` (stderr)."""
    if name not in BENCHES:
        raise UnknownBenchError(f"There is no benchmark {name!r}.", next_step=f"Choose one of: {', '.join(BENCHES)}.")
    cases = _load(name)
    notes = progress or sys.stderr
    for result in cases(lambda text: print(text, file=notes, flush=True)):
        emit(result, json=json, out=out or sys.stdout)


def _load(name: str) -> Bench:
    try:
        cases: Bench = import_module(BENCHES[name]).cases
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"The benchmark {name!r} needs the package {error.name}, which is not installed.",
            next_step="Install what the benchmarks need: pip install 'prodsprints[bench]'.",
        ) from error
    return cases
