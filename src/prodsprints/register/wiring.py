"""Where the register's data meets code: the controls and drills that its rows name, imported and held against them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from prodsprints.drills.catalog import Catalog, load
from prodsprints.kernel import documents
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.register.assessment import Digests
from prodsprints.register.errors import RegisterError
from prodsprints.register.load import parse, sources, sources_in
from prodsprints.register.model import Mitigation
from prodsprints.register.register import Register


def catalog(register: Register) -> Catalog:
    """The drills that the rows name."""
    return Catalog.of({row.id: row.drills for row in register.mitigations if row.drills})


def digests(register: Register, catalog: Catalog) -> Digests:
    """The control digests of all drills as they are now; a row has none when one of its drills cannot be imported."""
    return {row.id: _digests(row, catalog) for row in register.mitigations if row.drills}


def check(own: Path | None = None) -> None:
    """Import every control and drill that a `risk.yaml` names. Raises RegisterError with the line of each failure."""
    _refuse(problem for source in sources(own) for problem in _problems(source))


def check_in(own: Path) -> None:
    """The same for the files of a user's folder alone: ours may need extras that are not installed."""
    _refuse(problem for source in sources_in(own) for problem in _problems(source))


def _refuse(found: Iterable[str]) -> None:
    problems = list(found)
    if problems:
        raise RegisterError(
            "\n".join(problems), next_step="Correct the names, or the code; nothing that fails here can be proven."
        )


def _digests(row: Mitigation, catalog: Catalog) -> dict[str, str]:
    try:
        return {drill.experiment.variant: drill.digest for drill in catalog.drills(row.id)}
    except ProdSprintsError:
        return {}  # the row says so; `check` says why


def _problems(source: documents.Document) -> Iterator[str]:
    for index, row in enumerate(parse(source).mitigations):
        if row.control is not None:
            why = _why_not_imported(row.control)
            if why:
                at = source.at(("mitigations", index, "control"))
                yield f"{at}: the control {row.control} of {row.id} cannot be imported: {why}"
        variants: set[str] = set()
        for place, entry in enumerate(row.drills):
            why = _why_no_drill(row, entry, variants)
            if why:
                yield f"{source.at(('mitigations', index, 'drills', place))}: {why}"


def _why_not_imported(name: str) -> str:
    module, _, attributes = name.partition(":")
    try:
        found = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except Exception as error:  # whatever a module does when it is imported
        return f"{type(error).__name__}: {error}."
    return ""


def _why_no_drill(row: Mitigation, entry: str, variants: set[str]) -> str:
    try:
        experiment = load(entry)
    except ProdSprintsError as error:
        return f"{error.what} {error.why}".strip()
    if experiment.row != row.id:
        return f"{entry} is an experiment of {experiment.row}, not of {row.id}."
    if experiment.variant in variants:
        return f"two drills of {row.id} are called {experiment.variant!r}."
    variants.add(experiment.variant)
    return ""
