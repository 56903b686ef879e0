"""The control digest: one hash over everything that a drill's evidence is bound to."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from prodsprints.drills.errors import ExperimentError
from prodsprints.drills.experiment import Experiment
from prodsprints.kernel.redaction import Redactor


def control(entry: str, experiment: Experiment[Any, Any], config: Mapping[str, Any]) -> str:
    """SHA-256 over sources, experiment, the versions of what the sources import, and `config`.

    The sources stand by their module names, so that the same code has the same digest wherever it is installed.
    """
    files = source_files(experiment.bound)
    bound = {
        "experiment": [entry, experiment_sha256(entry, experiment)],
        "sources": {name: _sha256(path) for name, path in sorted(files.items())},
        "dependencies": dict(_dependencies(files.values())),
        "config": dict(config),
    }
    return hashlib.sha256(json.dumps(bound, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def experiment_sha256(entry: str, experiment: Experiment[Any, Any]) -> str:
    """SHA-256 over the module of the experiment called `entry` and those beside it that it stands on.

    What is a part of the control is left out: the control changes, and the experiment is still the same.
    """
    control = source_files(experiment.bound)
    files = {name: path for name, path in _beside(entry.partition(":")[0]).items() if name not in control}
    hashes = {name: _sha256(path) for name, path in sorted(files.items())}
    return hashlib.sha256(json.dumps(hashes, separators=(",", ":")).encode()).hexdigest()


def source_files(sources: Iterable[str]) -> dict[str, Path]:
    """The files that are meant, by name: a module, all of a package, a file beside a module (`package:schema.sql`)."""
    files: dict[str, Path] = {}
    for name in sources:
        module, _, beside = name.partition(":")
        path = origin(module)
        if beside:
            files[name] = path.parent / beside
            if not files[name].is_file():
                raise ExperimentError(f"There is no {files[name]}.", next_step="Correct the experiment's sources.")
        elif path.name == "__init__.py":
            files.update(_package(name, path.parent))
        else:
            files[name] = path
    return files


def without_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with each secret replaced by the same word, so that a rotated password changes no digest."""
    redactor = Redactor()

    def cleaned(name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: cleaned(str(key), entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [cleaned(name, entry) for entry in value]
        return "[secret]" if redactor.value({name: value})[name] != value else value

    return {key: cleaned(key, value) for key, value in config.items()}


def origin(module: str) -> Path:
    """The file of a module. Raises ExperimentError if there is none to read."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # importing a parent package runs its code
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ExperimentError(
            f"There is no Python module {module!r} whose source could be read.",
            next_step="Correct the experiment's sources, or install what it drills.",
        )
    return Path(spec.origin)


def _package(name: str, package: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        yield ".".join((name, *parts)).removesuffix(".__init__"), path


def _sha256(path: Path) -> str:
    try:
        stat = path.stat()
        return _sha256_of(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:  # taken away while we run
        raise ExperimentError(
            f"{path} cannot be read: {error.strerror}.", next_step="Put it back, or correct the experiment's sources."
        ) from None


@cache
def _sha256_of(path: Path, _modified_ns: int, _size: int) -> str:
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _beside(module: str) -> dict[str, Path]:
    """The module, and those of its own package that it imports, and that these import, by name."""
    package = module.rpartition(".")[0]
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = path = origin(name)
            stat = path.stat()
            waiting += _siblings(path, package, stat.st_mtime_ns, stat.st_size)
    return found


@cache
def _siblings(path: Path, package: str, _modified_ns: int, _size: int) -> tuple[str, ...]:
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            named |= {f"{package}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{package}."):
            named.add(node.module)
    return tuple(sorted(name for name in named if (path.parent / f"{name.rpartition('.')[2]}.py").exists()))


def _dependencies(files: Iterable[Path]) -> list[tuple[str, str]]:
    """The versions of the distributions that these files import, and of Python up to its minor number."""
    found = {("python", f"{sys.version_info.major}.{sys.version_info.minor}")}
    for path in (path for path in files if path.suffix == ".py"):
        stat = path.stat()
        for name in _imported(path, stat.st_mtime_ns, stat.st_size):
            for distribution in _distributions().get(name, ()):
                found.add((distribution.lower(), importlib.metadata.version(distribution)))
    return sorted(found)


@cache
def _imported(path: Path, _modified_ns: int, _size: int) -> frozenset[str]:
    """The top-level names that a file imports, wherever in it; neither Python's own nor its own package's."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return frozenset(names - sys.stdlib_module_names - {"prodsprints"})


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
