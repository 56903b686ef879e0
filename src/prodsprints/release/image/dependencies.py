"""What a repository depends on, collected from its own files as text that pip understands, for the image's builder."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from prodsprints.release.image.errors import DependencyError
from prodsprints.release.image.poetry import requirement as poetry_requirement

# Servers for repositories that bring none; exact, so that a release of today and one of next month serve alike.
SERVERS = {"uvicorn": "uvicorn==0.54.0", "gunicorn": "gunicorn==27.0.1"}

_MAX_FILES = 100
_MAX_FILE_BYTES = 4 * 1024**2
_OWN_TABLE = "pyproject"

_INCLUDE = re.compile(r"^(?:-r|-c|--requirement|--constraint)[ =]*(?P<path>\S+)")
_LOCAL = re.compile(r"^(?:(?:-e|--editable)[ =]*)?(?P<path>\.[^;\s]*|file:\S+)")


@dataclass(frozen=True)
class Dependencies:
    """All that decides what gets installed.

    `files` are requirement and constraint files by their path in the tree, cleaned; `roots` those to install from;
    `constraints` exact versions from a lock file; `needs_tree` says that packages inside the repository are installed.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    roots: tuple[str, ...] = ()
    specifiers: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    needs_tree: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to install."""
        return not (self.roots or self.specifiers or self.servers)

    @property
    def hashed(self) -> bool:
        """Whether pip will demand a hash for everything, because a requirement file states one."""
        return any("--hash" in text for text in self.files.values())

    def constrained_by(self, pins: tuple[str, ...]) -> Dependencies:
        """The same, but only in versions that agree with `pins`, which win over a lock file's."""
        fixed = {pin.partition("==")[0] for pin in pins}
        return replace(
            self, constraints=(*pins, *(pin for pin in self.constraints if pin.partition("==")[0] not in fixed))
        )

    def key(self, *circumstances: str) -> str:
        """A hash over everything here and the `circumstances` (interpreter, platform): equal keys install alike."""
        digest = hashlib.sha256()
        parts = [*circumstances, *self.specifiers, *self.servers, *self.constraints, *self.roots]
        for part in [*parts, *(entry for item in sorted(self.files.items()) for entry in item)]:
            digest.update(f"{len(part.encode())}:{part}".encode())
        return digest.hexdigest()


def collect(tree: Path, names: Sequence[str], servers: Sequence[str] = ()) -> Dependencies:
    """Read what `names` stand for below `tree`.

    A name is a requirement file's path, `pyproject` (the project's own table), `extra:NAME`, `group:NAME`, or a
    requirement as such. Raises DependencyError with file and line for what cannot be read or leads out of the tree.
    """
    collector = _Collector(tree.resolve())
    for name in names:
        collector.add(name)
    for server in servers:
        if server not in SERVERS:
            raise DependencyError(
                f"No version of the server {server!r} is known.", next_step=f"Use one of {', '.join(sorted(SERVERS))}."
            )
    return Dependencies(
        files=dict(sorted(collector.files.items())),
        roots=tuple(collector.roots),
        specifiers=tuple(dict.fromkeys(collector.specifiers)),
        servers=tuple(SERVERS[server] for server in servers),
        constraints=_locked(collector.tree) if collector.own_table else (),
        needs_tree=collector.needs_tree,
    )


class _Collector:
    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.files: dict[str, str] = {}
        self.roots: list[str] = []
        self.specifiers: list[str] = []
        self.needs_tree = False
        self.own_table = False

    def add(self, name: str) -> None:
        if name == _OWN_TABLE:
            self._own()
        elif name.startswith("extra:"):
            self._extra(name.removeprefix("extra:"))
        elif name.startswith("group:"):
            self._group(name.removeprefix("group:"), ())
        elif (self.tree / name).is_file():
            self._file(self.tree / name, stated=name)
            self.roots.append(name)
        else:
            self._specify(name, where="the list of dependencies")

    def _file(self, path: Path, *, stated: str) -> None:
        text = _read(self.tree, path, stated)
        key = path.resolve().relative_to(self.tree).as_posix()
        if key in self.files:
            return
        if len(self.files) >= _MAX_FILES:
            raise DependencyError(f"More than {_MAX_FILES} requirement files.", next_step="Merge some of them.")
        self.files[key] = ""
        lines: list[str] = []
        for line in text.splitlines():
            stripped = line.strip()
            included = _INCLUDE.match(stripped)
            local = _LOCAL.match(stripped)
            if included:
                self._file(path.parent / included["path"], stated=f"{key}: {included['path']}")
                lines.append(line)
            elif local and (path.parent / local["path"].partition("[")[0]).resolve() == self.tree:
                # The application itself: the image has its tree anyway, what it needs is what it depends on.
                self._own()
                for extra in re.findall(r"[A-Za-z0-9._-]+", local["path"].partition("[")[2]):
                    self._extra(extra)
            elif local:
                self.needs_tree = True
                lines.append(re.sub(r"^(?:-e|--editable)[ =]*", "", stripped))
            else:
                lines.append(line)
        self.files[key] = "\n".join(lines) + "\n"

    def _own(self) -> None:
        if self.own_table:
            return
        self.own_table = True
        table = self._pyproject()
        project = table.get("project")
        poetry = _mapping(_mapping(table.get("tool")).get("poetry"))
        if isinstance(project, dict) and "dependencies" not in _sequence(project.get("dynamic")):
            for entry in _sequence(project.get("dependencies")):
                self._specify(str(entry), where="pyproject.toml")
        elif isinstance(project, dict) and self._dynamic(table):
            return
        elif poetry.get("dependencies"):
            self._poetry(_mapping(poetry["dependencies"]))
        else:  # only its own build can tell
            self.needs_tree = True
            self.specifiers.append(".")

    def _dynamic(self, table: Mapping[str, Any]) -> bool:
        dynamic = _mapping(_mapping(_mapping(table.get("tool")).get("setuptools")).get("dynamic"))
        stated = _mapping(dynamic.get("dependencies")).get("file", [])
        names = [stated] if isinstance(stated, str) else [str(name) for name in _sequence(stated)]
        for name in names:
            self._file(self.tree / name, stated=f"pyproject.toml: {name}")
            self.roots.append(name)
        return bool(names)

    def _extra(self, name: str) -> None:
        table = self._pyproject()
        for source in (
            _mapping(table.get("project")).get("optional-dependencies"),
            _mapping(_mapping(table.get("tool")).get("poetry")).get("extras"),
        ):
            for extra, entries in _mapping(source).items():
                if canonicalize_name(extra) == canonicalize_name(name):
                    for entry in _sequence(entries):
                        self._specify(str(entry), where=f"extra {name} of pyproject.toml")
                    return
        raise DependencyError(f"pyproject.toml has no extra {name!r}.", next_step="Correct the name of the extra.")

    def _group(self, name: str, outer: tuple[str, ...]) -> None:
        table = self._pyproject()
        groups = _mapping(table.get("dependency-groups"))
        poetry = _mapping(_mapping(table.get("tool")).get("poetry"))
        poetry_groups = {
            key: _mapping(value).get("dependencies") for key, value in _mapping(poetry.get("group")).items()
        }
        if "dev-dependencies" in poetry:
            poetry_groups.setdefault("dev", poetry["dev-dependencies"])
        if name in outer:
            raise DependencyError(f"The dependency group {name!r} includes itself.", next_step="Break the circle.")
        if name in groups:
            for entry in _sequence(groups[name]):
                if isinstance(entry, dict) and "include-group" in entry:
                    self._group(str(entry["include-group"]), (*outer, name))
                else:
                    self._specify(str(entry), where=f"group {name} of pyproject.toml")
        elif name in poetry_groups:
            self._poetry(_mapping(poetry_groups[name]))
        else:
            raise DependencyError(f"pyproject.toml has no group {name!r}.", next_step="Correct the name of the group.")

    def _poetry(self, entries: Mapping[str, Any]) -> None:
        for name, value in entries.items():
            if canonicalize_name(name) == "python":
                continue
            for text in poetry_requirement(name, value):
                self.needs_tree = self.needs_tree or text.startswith(".")
                self.specifiers.append(text)

    def _specify(self, text: str, *, where: str) -> None:
        try:
            self.specifiers.append(str(Requirement(text)))
        except InvalidRequirement:
            raise DependencyError(
                f"{where} asks for {text[:200]!r}, which is neither a file of the repository nor a requirement.",
                next_step="Correct that entry (PEP 508).",
            ) from None

    def _pyproject(self) -> Mapping[str, Any]:
        path = self.tree / "pyproject.toml"
        if not path.exists():
            return {}
        try:
            return tomllib.loads(_read(self.tree, path, "pyproject.toml"))
        except tomllib.TOMLDecodeError as error:
            raise DependencyError(f"pyproject.toml: {error}.", next_step="Correct the file.") from None


def _locked(tree: Path) -> tuple[str, ...]:
    """`name==version` for every package that uv.lock, poetry.lock or pylock.toml fixes to one version."""
    for lock, key in (("uv.lock", "package"), ("poetry.lock", "package"), ("pylock.toml", "packages")):
        path = tree / lock
        if not path.is_file():
            continue
        try:
            packages = tomllib.loads(_read(tree, path, lock)).get(key)
        except tomllib.TOMLDecodeError as error:
            raise DependencyError(f"{lock}: {error}.", next_step=f"Write {lock} anew with its own tool.") from None
        return tuple(_pins(_mapping(entry) for entry in _sequence(packages)))
    return ()


def _pins(packages: Iterable[Mapping[str, Any]]) -> list[str]:
    versions: dict[str, set[str]] = {}
    for package in packages:
        source = _mapping(package.get("source"))
        if {"editable", "virtual", "directory", "path", "git", "url"} & source.keys() or "version" not in package:
            continue
        if source.get("type") in {"directory", "file", "git", "url"}:
            continue
        versions.setdefault(canonicalize_name(str(package.get("name"))), set()).add(str(package["version"]))
    # A name with several versions is forked by markers; the project's own specifiers decide there.
    return [f"{name}=={min(found)}" for name, found in sorted(versions.items()) if len(found) == 1]


def _read(tree: Path, path: Path, stated: str) -> str:
    resolved = path.resolve()
    if not resolved.is_relative_to(tree):
        raise DependencyError(f"{stated} leads out of the repository.", next_step="Keep requirement files inside it.")
    try:
        if resolved.stat().st_size > _MAX_FILE_BYTES:
            raise DependencyError(f"{stated} is larger than {_MAX_FILE_BYTES} bytes.", next_step="Shorten it.")
        return resolved.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise DependencyError(f"{stated} cannot be read as UTF-8 text.", next_step="Correct or commit it.") from None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []
