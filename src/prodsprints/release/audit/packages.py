"""Which Python packages and interpreter a repository asks for, and from which of its files they are installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name

from prodsprints.release.audit.files import Files
from prodsprints.release.audit.manifests import Declared, Manifest, exact_minor, locked, projects, requirements
from prodsprints.release.audit.values import Finding

_PROJECTS = ("pyproject.toml", "Pipfile", "setup.cfg", "setup.py")
_REQUIREMENTS = (
    "requirements.txt", "requirements/production.txt", "requirements/prod.txt", "requirements-prod.txt",
    "requirements/requirements.txt", "requirements/base.txt", "requirements/main.txt", "requirements/common.txt",
)  # fmt: skip
_DEVELOPMENT = (
    "requirements-dev.txt", "requirements-test.txt", "requirements-tests.txt", "requirements_dev.txt",
    "requirements_test.txt", "dev-requirements.txt", "test-requirements.txt", "requirements/test.txt",
    "requirements/tests.txt", "requirements/testing.txt", "requirements/dev.txt", "requirements/development.txt",
    "requirements/local.txt",
)  # fmt: skip
_LOCKS = {"uv.lock": "uv", "poetry.lock": "poetry", "pdm.lock": "pdm", "Pipfile.lock": "pipenv"}


@dataclass(frozen=True)
class Packages:
    """What is asked for. `base` is the manifest's directory; `sources` and `test_sources` are as in Application."""

    base: str = ""
    manager: str = ""
    manifest: str = ""
    name: str = ""
    sources: tuple[str, ...] = ()
    test_sources: tuple[str, ...] = ()
    requires_python: str = ""
    python_file: str = ""
    lock: str = ""
    locked: Mapping[str, str] = field(default_factory=dict)
    declared: tuple[Declared, ...] = ()

    def find(self, *names: str) -> Declared | None:
        """The first of these packages that the application itself needs."""
        wanted = {canonicalize_name(name) for name in names}
        return next((entry for entry in self.declared if not entry.group and entry.name in wanted), None)

    def mentions(self, name: str) -> Declared | None:
        """A package in any group."""
        return next((entry for entry in self.declared if entry.name == canonicalize_name(name)), None)

    def version(self, name: str) -> str:
        """The exact version of a package where pins or the lock tell it."""
        found = self.find(name)
        return (found.pinned if found else "") or self.locked.get(canonicalize_name(name), "")

    def findings(self, files: Files) -> Iterator[Finding]:
        """Package manager, Python version, and how exactly the versions are fixed."""
        if not self.manifest:
            return
        yield Finding("package-manager", self.manager, self.manifest, 1, 0.95)
        if self.requires_python:
            line = files.line_of(self.python_file, "python")
            yield Finding("python", self.requires_python, self.python_file, line, 0.95)
        wanted = [entry for entry in self.declared if not entry.group]
        if self.lock:
            missing = sorted({entry.name for entry in wanted} - set(self.locked))
            note = f"stale: {', '.join(missing[:5])} is not in it; lock again" if missing else ""
            yield Finding("lock", "stale" if missing else "fresh", self.lock, 1, 0.8, note)
        elif wanted:
            pinned = sum(1 for entry in wanted if entry.pinned)
            hashed = "--hash" in files.text(self.manifest)
            value = f"{pinned} of {len(wanted)} pinned" + (", with hashes" if hashed else "")
            note = "" if pinned == len(wanted) else "a later release may install other versions: pin them"
            yield Finding("lock", value, self.manifest, 1, 0.9, note)


def bases(files: Files) -> list[str]:
    """The directories with a manifest of Python packages, nearest to the root first."""
    wanted = (*_PROJECTS, *_REQUIREMENTS)
    found = set()
    for directory in files.directories:
        at = f"{directory}/" if directory else ""
        if any(f"{at}{name}" in files for name in wanted):
            found.add(directory)
    found -= {f"{directory}/requirements" if directory else "requirements" for directory in found}
    return sorted(found, key=lambda name: (len(PurePosixPath(name).parts), name))


def read(files: Files, base: str) -> Packages:
    """What the manifests in the directory `base` ask for."""
    at = f"{base}/" if base else ""
    listed = next((requirements(files, f"{at}{name}") for name in _REQUIREMENTS if f"{at}{name}" in files), None)
    stated = projects(files, base)
    project = stated[0] if stated else Manifest("", "")
    lock = next((f"{at}{name}" for name in _LOCKS if f"{at}{name}" in files), "")
    chosen = listed if listed and not (lock and project.declared) else project
    development, test_sources = _development(files, at, project, base)
    python, python_file = _python(files, at, stated)
    if chosen is project and lock:
        manager = _LOCKS[lock.rpartition("/")[2]]
    else:
        manager, lock = chosen.manager, ""
    versions = locked(files, lock)
    return Packages(
        base=base,
        manager=manager,
        manifest=chosen.file,
        name=next((manifest.name for manifest in stated if manifest.name), ""),
        sources=(chosen.file,) if chosen is listed else _project_sources(project, base, versions),
        test_sources=test_sources,
        requires_python=python,
        python_file=python_file,
        lock=lock,
        locked=versions,
        declared=(*chosen.declared, *development),
    )


def _project_sources(project: Manifest, base: str, versions: Mapping[str, str]) -> tuple[str, ...]:
    """The project's own table at the root; what the builder does not read there is said as plain requirements."""
    if not project.file:
        return ()
    if not base and project.manager != "pipenv":
        return ("pyproject",)
    return _plain([entry for entry in project.declared if not entry.group], versions)


def _plain(declared: Sequence[Declared], versions: Mapping[str, str]) -> tuple[str, ...]:
    texts = []
    for entry in declared:
        version = versions.get(entry.name)
        extras = f"[{','.join(sorted(entry.requirement.extras))}]" if entry.requirement.extras else ""
        marker = f" ; {entry.requirement.marker}" if entry.requirement.marker else ""
        exact = version and not entry.requirement.url
        texts.append(f"{entry.requirement.name}{extras}=={version}{marker}" if exact else str(entry.requirement))
    return tuple(texts)


def _development(files: Files, at: str, project: Manifest, base: str) -> tuple[list[Declared], tuple[str, ...]]:
    """What the tests need beyond the application: a requirement file of their own, else an extra or a group."""
    file = next((f"{at}{name}" for name in _DEVELOPMENT if f"{at}{name}" in files), "")
    if file:
        return list(requirements(files, file, "development").declared), (file,)
    group = next((entry.group for entry in project.declared if entry.group and entry.name.startswith("pytest")), "")
    grouped = [entry for entry in project.declared if entry.group == group and group]
    if base or project.manager in ("pipenv", "setuptools"):
        return grouped, _plain(grouped, {})
    return grouped, (group,) if group else ()


def _python(files: Files, at: str, stated: Sequence[Manifest]) -> tuple[str, str]:
    for manifest in stated:
        if manifest.requires_python:
            return manifest.requires_python, manifest.file
    for file in dict.fromkeys((f"{at}.python-version", f"{at}runtime.txt", ".python-version", "runtime.txt")):
        lines = files.text(file).splitlines() if file in files else []
        if lines and (pinned := exact_minor(lines[0])):
            return pinned, file
    return "", ""
