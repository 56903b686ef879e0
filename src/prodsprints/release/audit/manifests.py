"""The ways in which a repository says what it needs: pip, PEP 621, Poetry, Pipenv, setuptools; for `packages`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from prodsprints.release.audit.files import Files
from prodsprints.release.audit.python import keyword, spelled, text_of
from prodsprints.release.image.errors import DependencyError
from prodsprints.release.image.poetry import requirement as poetry_requirement

_MAX_INCLUDES = 20


@dataclass(frozen=True)
class Declared:
    """One requirement as the repository states it; `group` is empty for what the application itself needs."""

    requirement: Requirement
    file: str
    line: int
    group: str = ""

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def pinned(self) -> str:
        """The exact version that is asked for, empty if it is a range."""
        specifiers = list(self.requirement.specifier)
        exact = len(specifiers) == 1 and specifiers[0].operator == "==" and not specifiers[0].version.endswith(".*")
        return specifiers[0].version if exact else ""


@dataclass(frozen=True)
class Manifest:
    """What one file states: which tool it is for, the project's name and Python versions, and the requirements."""

    manager: str
    file: str
    name: str = ""
    requires_python: str = ""
    declared: tuple[Declared, ...] = ()


def requirements(files: Files, file: str, group: str = "") -> Manifest:
    """A requirement file of pip, with those that it includes."""
    return Manifest("pip", file, declared=tuple(_listed(files, file, group, set())))


def projects(files: Files, base: str) -> list[Manifest]:
    """What the project files in the directory `base` state, the most telling first."""
    at = f"{base}/" if base else ""
    found = [
        read(files, f"{at}{name}")
        for name, read in (
            ("pyproject.toml", _pyproject),
            ("Pipfile", _pipfile),
            ("setup.cfg", _setup_cfg),
            ("setup.py", _setup_py),
        )
        if f"{at}{name}" in files
    ]
    return sorted(found, key=lambda manifest: not manifest.declared)


def locked(files: Files, lock: str) -> dict[str, str]:
    """The exact versions in a lock file, by package."""
    if lock.endswith("Pipfile.lock"):
        entries = as_table(files.json(lock).get("default"))
        return {canonicalize_name(n): _text(as_table(e).get("version")).removeprefix("==") for n, e in entries.items()}
    packages = files.toml(lock).get("package") if lock else None
    tables = [as_table(entry) for entry in packages] if isinstance(packages, list) else []
    return {canonicalize_name(_text(table.get("name"))): _text(table.get("version")) for table in tables}


def exact_minor(version: str) -> str:
    """`3.12.4` or `python-3.12` as `==3.12.*`: what a version file pins is the interpreter's line, not its patch."""
    found = re.fullmatch(r"(?:python-)?(\d{1,2})\.(\d{1,3})(?:\.\d{1,3})?", version.strip(), re.ASCII)
    return f"=={found[1]}.{found[2]}.*" if found else ""


def as_table(value: Any) -> dict[str, Any]:
    """The value if it is a table, else an empty one: strangers' files hold anything anywhere."""
    return value if isinstance(value, dict) else {}


def _listed(files: Files, file: str, group: str, seen: set[str]) -> Iterator[Declared]:
    if file in seen or len(seen) > _MAX_INCLUDES:
        return
    seen.add(file)
    for number, line in files.lines(file):
        text = re.sub(r"(^|\s)#.*$", "", line).strip().rstrip("\\").strip()
        if found := re.match(r"(?:-r|--requirement)[ =]?\s*(\S+)", text):
            yield from _listed(files, _beside(file, found[1]), group, seen)
        elif text and not text.startswith("-"):
            yield from _declared(files, re.split(r"\s--", text)[0], file, group, number)


def _declared(files: Files, text: str, file: str, group: str = "", line: int = 0) -> Iterator[Declared]:
    try:
        requirement = Requirement(text.strip())
    except (InvalidRequirement, RecursionError):
        return  # the image's builder reads it again, and says what is wrong
    yield Declared(requirement, file, line or files.line_of(file, requirement.name), group)


def _pyproject(files: Files, file: str) -> Manifest:
    content = files.toml(file)
    project, tool = as_table(content.get("project")), as_table(content.get("tool"))
    poetry = as_table(tool.get("poetry"))
    stated: list[tuple[str, Any]] = [("", project.get("dependencies"))]
    stated += [(f"extra:{name}", texts) for name, texts in as_table(project.get("optional-dependencies")).items()]
    stated += [(f"group:{name}", texts) for name, texts in as_table(content.get("dependency-groups")).items()]
    stated += [("", poetry.get("dependencies")), ("group:dev", poetry.get("dev-dependencies"))]
    stated += [
        (f"group:{name}", as_table(table).get("dependencies")) for name, table in as_table(poetry.get("group")).items()
    ]
    declared = [
        entry for group, needs in stated for text in _texts(needs) for entry in _declared(files, text, file, group)
    ]
    python = _text(project.get("requires-python")) or _poetry_python(poetry)
    name = _text(project.get("name")) or _text(poetry.get("name"))
    manager = next((known for known in ("poetry", "pdm", "uv", "hatch") if known in tool), "pip")
    return Manifest(manager, file, name, _specifier(python), tuple(declared))


def _pipfile(files: Files, file: str) -> Manifest:
    content = files.toml(file)
    declared = [
        entry
        for group, table in (("", "packages"), ("group:dev", "dev-packages"))
        for text in _texts(content.get(table))
        for entry in _declared(files, text, file, group)
    ]
    python = exact_minor(_text(as_table(content.get("requires")).get("python_version")))
    return Manifest("pipenv", file, requires_python=python, declared=tuple(declared))


def _setup_cfg(files: Files, file: str) -> Manifest:
    content = files.ini(file)
    options = content.get("options", {})
    stated = [("", options.get("install_requires", ""))]
    stated += [(f"extra:{name}", texts) for name, texts in content.get("options.extras_require", {}).items()]
    declared = [
        entry for group, texts in stated for text in texts.splitlines() for entry in _declared(files, text, file, group)
    ]
    name = content.get("metadata", {}).get("name", "")
    python = _specifier(options.get("python_requires", ""))
    return Manifest("setuptools", file, name, python, tuple(declared))


def _setup_py(files: Files, file: str) -> Manifest:
    """Only what stands in `setup(…)` as literals: the file itself is never run here."""
    tree = files.module(file)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree else []
    call = next((call for call in calls if spelled(call.func).rpartition(".")[2] == "setup"), None)
    if call is None:
        return Manifest("setuptools", file)
    needs = keyword(call, "install_requires")
    texts = [text_of(item) or "" for item in needs.elts] if isinstance(needs, ast.List | ast.Tuple) else []
    return Manifest(
        "setuptools",
        file,
        text_of(keyword(call, "name")) or "",
        _specifier(text_of(keyword(call, "python_requires")) or ""),
        tuple(entry for text in texts for entry in _declared(files, text, file)),
    )


def _texts(needs: Any) -> list[str]:
    """Requirements as text, from a list (PEP 621, PEP 735) or a table of constraints (Poetry, Pipenv)."""
    if isinstance(needs, list):
        return [entry for entry in needs if isinstance(entry, str)]
    found: list[str] = []
    for name, value in as_table(needs).items():
        if name.lower() != "python" and isinstance(value, str | dict):
            found += _translated(name, value)
    return found


def _translated(name: str, value: str | Mapping[str, Any]) -> list[str]:
    if isinstance(value, Mapping) and not isinstance(value.get("extras", []), list):
        return []
    try:
        return poetry_requirement(name, value)
    except DependencyError:
        return []  # the image's builder reads it again, and says what is wrong


def _poetry_python(poetry: Mapping[str, Any]) -> str:
    stated = _text(as_table(poetry.get("dependencies")).get("python"))
    texts = _translated("python", stated) if stated else []
    return str(Requirement(texts[0]).specifier) if texts else ""


def _specifier(text: str) -> str:
    try:
        return str(SpecifierSet(text))
    except InvalidSpecifier:
        return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _beside(file: str, included: str) -> str:
    parts = file.split("/")[:-1]
    for part in included.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
