"""A copy of the sources of some drills, to be damaged and repaired while the working tree stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import count
from pathlib import Path

from prodsprints.drills import digest, mutants, mutants_sql
from prodsprints.drills.catalog import Drill
from prodsprints.drills.errors import ExperimentError
from prodsprints.drills.mutants import Mutant
from prodsprints.kernel import documents
from prodsprints.kernel.errors import UsageError

_PATCH_SECONDS = 30
_DAMAGE_KEYS = frozenset({"module", "line", "change", "why"})
_STATEMENT_KEYS = frozenset({"module", "statement", "why"})
_GENERATORS = {".py": mutants.generate, ".sql": mutants_sql.generate}


@dataclass(frozen=True)
class Workshop:
    """Whole packages below `tree`, so that a copied module finds its copied neighbours.

    `notes` is the folder `mutants` beside the experiments: there the author keeps `<row>.patch`, and in `<row>.yaml`
    those damages that are known to change nothing, each with the reason, and the statements of a schema that are no
    part of the control: a file of SQL cannot be told apart into modules.
    """

    drills: tuple[Drill, ...]
    tree: Path
    notes: Path
    _moments: Iterator[int]

    @staticmethod
    @contextmanager
    def over(drills: Sequence[Drill]) -> Iterator[Workshop]:
        """Copy what the drills call their sources."""
        tree = Path(tempfile.mkdtemp(prefix="prodsprints-mutants-")).resolve()
        tree.chmod(0o755)
        try:
            for top in sorted({_top(source) for drill in drills for source in drill.experiment.sources}):
                path = digest.origin(top)
                if path.name == "__init__.py":
                    shutil.copytree(path.parent, tree / top, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy2(path, tree / path.name)
            notes = digest.origin(drills[0].entry.partition(":")[0]).parent / "mutants"
            # Python trusts a compiled file by the source's second and size, and a damage may change neither.
            yield Workshop(tuple(drills), tree, notes, count(1_000_000_000))
        finally:
            shutil.rmtree(tree, ignore_errors=True)

    @property
    def row(self) -> str:
        """The row of the drills."""
        return self.drills[0].experiment.row

    @property
    def patch(self) -> Path:
        """The author's own damage."""
        return self.notes / f"{self.row}.patch"

    def copies(self, drill: Drill) -> dict[str, Path]:
        """The copied modules and schemas that are the control of one drill, by name."""
        files = digest.source_files(drill.experiment.sources)
        return {name: self._copy(name, path) for name, path in files.items() if path.suffix in _GENERATORS}

    def modules(self) -> dict[str, Path]:
        """Those of all the drills."""
        return {name: path for drill in self.drills for name, path in self.copies(drill).items()}

    def mutants(self) -> list[Mutant]:
        """Every mutant of every module, in order."""
        return [
            mutant
            for name, path in sorted(self.modules().items())
            for mutant in _GENERATORS[path.suffix](name, path.read_text(encoding="utf-8"))
        ]

    @contextmanager
    def damaged(self, mutant: Mutant) -> Iterator[None]:
        """The copy with that one damage."""
        path = self.modules()[mutant.module]
        whole = path.read_bytes()
        try:
            self._write(path, mutant.source.encode())
            yield
        finally:
            self._write(path, whole)

    @contextmanager
    def patched(self) -> Iterator[None]:
        """The copy with the author's patch."""
        touched = self._apply()
        try:
            yield
        finally:
            self._apply("--reverse")
            self._age(touched)

    def equivalent(self, mutant: Mutant) -> str:
        """Why this damage is known to change nothing; empty if nobody said so."""
        return next((known["why"] for known in self._known if _is_meant(known, mutant) and "line" in known), "")

    def beside_the_control(self, mutant: Mutant) -> str:
        """Why its statement is no part of the control; empty if nobody said so."""
        return next((known["why"] for known in self._known if _is_meant(known, mutant) and "line" not in known), "")

    def refuse_unknown_notes(self, every: Sequence[Mutant]) -> None:
        """Raise UsageError for a note about a damage that is not made: its line was changed since."""
        for known in self._known:
            if not any(_is_meant(known, mutant) for mutant in every):
                named = known.get("statement") or f"{known['change']} in: {known['line']}"
                raise UsageError(
                    f"{self.row}.yaml explains a damage to {known['module']} that is not made: {named}",
                    next_step="Leave it out, or copy the damage as it is now called.",
                )

    def _copy(self, name: str, path: Path) -> Path:
        top = digest.origin(_top(name))
        root = top.parent.parent if top.name == "__init__.py" else top.parent
        return self.tree / path.relative_to(root)

    def _write(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        self._age([path])

    def _age(self, paths: Sequence[Path]) -> None:
        for path in paths:
            moment = next(self._moments)
            os.utime(path, (moment, moment))

    def _apply(self, *options: str) -> list[Path]:
        # Paths in it may begin at the repository (src/prodsprints/…) or at the package, as `git diff` was told.
        said = ""
        for strip in ("1", "2"):
            done = subprocess.run(
                ["git", "apply", "--numstat", "--apply", f"-p{strip}", *options, str(self.patch.absolute())],  # noqa: S607
                cwd=self.tree,
                env={**os.environ, "GIT_CEILING_DIRECTORIES": str(self.tree.parent)},
                capture_output=True,
                text=True,
                timeout=_PATCH_SECONDS,
                check=False,
            )
            if done.returncode == 0:
                touched = [self.tree / line.split("\t")[2] for line in done.stdout.splitlines()]
                self._age(touched)
                return touched
            said = said or done.stderr.strip().splitlines()[0]
        raise ExperimentError(
            f"The patch {self.patch} does not fit the sources.", why=f"git says: {said}.", next_step="Make it anew."
        )

    @cached_property
    def _known(self) -> list[dict[str, str]]:
        path = self.notes / f"{self.row}.yaml"
        if not path.exists():
            return []
        document = documents.read(path, name=path.name)
        for number, known in enumerate(document.value or []):
            keys = frozenset(known) if isinstance(known, dict) else frozenset()
            if keys not in {_DAMAGE_KEYS, _STATEMENT_KEYS} or not str(known["why"]).strip():
                raise UsageError(
                    f"{document.at((number,))}: this is neither module, line, change and why, nor module, statement and"
                    " why.",
                    next_step="Copy the first three as `prodsprints drill mutate` prints them, and say why.",
                )
        return list(document.value or [])


def _is_meant(known: dict[str, str], mutant: Mutant) -> bool:
    if "line" in known:
        return (known["module"], known["line"], known["change"]) == (mutant.module, mutant.text, mutant.change)
    return fnmatchcase(mutant.module, known["module"]) and mutant.statement.startswith(known["statement"])


def _top(name: str) -> str:
    return name.partition(":")[0].partition(".")[0]
