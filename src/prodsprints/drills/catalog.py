"""Which drills there are, found by the dotted names that the rows give, and what their evidence is bound to."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prodsprints.drills import digest
from prodsprints.drills.errors import ExperimentError, NoSuchDrillError
from prodsprints.drills.experiment import Experiment


@dataclass(frozen=True)
class Drill:
    """One experiment and the name it is found by."""

    entry: str
    experiment: Experiment[Any, Any]
    digest: str
    experiment_sha256: str


@dataclass(frozen=True)
class Catalog:
    """The drills of every row, imported when they are first asked for.

    `config` is the effective configuration; what is secret in it takes no part in a digest and is shown to no drill.
    """

    rows: Mapping[str, tuple[str, ...]]
    config: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(rows: Mapping[str, tuple[str, ...]], config: Mapping[str, Any] | None = None) -> Catalog:
        """The drills that each row names, as `package.module:attribute`."""
        return Catalog({row: tuple(entries) for row, entries in rows.items()}, digest.without_secrets(config or {}))

    def experiments(self, row: str) -> tuple[Experiment[Any, Any], ...]:
        """The experiments of one row, in the order in which it names them."""
        return tuple(drill.experiment for drill in self.drills(row))

    def digest(self, experiment: Experiment[Any, Any]) -> str:
        """The control digest: changes with whatever the experiment's evidence is bound to."""
        return self.find(experiment.row, experiment.variant).digest

    def drills(self, row: str) -> tuple[Drill, ...]:
        """The same with their names and digests; none for a row without drills."""
        return tuple(self._drill(row, entry) for entry in self.rows.get(row, ()))

    def all(self) -> tuple[Drill, ...]:
        """Every drill, by row."""
        return tuple(drill for row in self.rows for drill in self.drills(row))

    def find(self, row: str, variant: str | None = None) -> Drill:
        """The drill of that row and variant, or the row's first. Raises NoSuchDrillError, ExperimentError."""
        drills = self.drills(row)
        for drill in drills:
            if variant in {None, drill.experiment.variant}:
                return drill
        if not drills:
            raise NoSuchDrillError(
                f"{row} has no drill.",
                why="It is not in the register, or nothing that could be broken holds it yet.",
                next_step="`prodsprints drill list` shows every drill.",
            )
        known = ", ".join(drill.experiment.variant for drill in drills)
        raise NoSuchDrillError(f"{row} has no drill {variant!r}.", next_step=f"Choose one of: {known}.")

    def _drill(self, row: str, entry: str) -> Drill:
        # Sources may be edited while the platform runs: the digest is looked up each time, over cached file digests.
        experiment = self._loaded(entry)
        if experiment.row != row:
            raise ExperimentError(
                f"{entry} is an experiment of {experiment.row}, but {row} names it.",
                next_step="Correct one of the two.",
            )
        bound = digest.control(entry, experiment, self.config)
        return Drill(entry, experiment, bound, digest.experiment_sha256(entry, experiment))

    def _loaded(self, entry: str) -> Experiment[Any, Any]:
        if entry not in self._experiments:
            self._experiments[entry] = load(entry)
        return self._experiments[entry]

    @cached_property
    def _experiments(self) -> dict[str, Experiment[Any, Any]]:
        return {}


def load(entry: str) -> Experiment[Any, Any]:
    """The experiment called `package.module:attribute`. Raises ExperimentError for anything else."""
    module, _, attribute = entry.partition(":")
    if not module or not attribute:
        raise ExperimentError(f"{entry!r} names no experiment.", next_step="Write it as package.module:attribute.")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ExperimentError:
        raise
    except Exception as error:  # an experiment's module is anybody's code
        raise ExperimentError(
            f"The drill {entry} cannot be imported.",
            why=f"{type(error).__name__}: {error}.",
            next_step="Correct its module, or install what it needs.",
        ) from None
    if not isinstance(found, Experiment):
        raise ExperimentError(f"{entry} is no Experiment.", next_step="Name one that is.")
    return found
