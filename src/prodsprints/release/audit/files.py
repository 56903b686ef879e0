"""A stranger's files, read within bounds and never through a link that leaves the directory: for the audit."""

from __future__ import annotations

import ast
import configparser
import json
import os
import stat
import tomllib
import warnings
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from prodsprints.release.errors import NothingToAuditError

MAX_FILES = 20_000
MAX_DEPTH = 24
MAX_FILE_BYTES = 1024**2
MAX_READ_BYTES = 64 * 1024**2
MAX_MODULES = 3_000
_SKIPPED = {
    ".git", ".hg", ".svn", ".venv", "venv", "env", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache",
    ".pytest_cache", ".ruff_cache", "site-packages", "dist", "build", ".idea", ".vscode", "vendor",
}  # fmt: skip
_ASIDE = {
    "test", "tests", "testing", "docs", "doc", "examples", "example", "docs_src", "samples", "scripts", "benchmarks",
    "fixtures", "e2e", "cookbook",
}  # fmt: skip
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Files:
    """The regular files below a directory, nearest to the root first, with what is in them.

    Every reader returns nothing (None, an empty dict) for what is missing, too large or not what it should be, and
    remembers it in `unreadable` with the reason; none raises. `truncated` says that a bound was reached.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if not self.root.is_dir():
            raise NothingToAuditError(f"{root} is not a directory.", next_step="Give the path of a repository.")
        self.truncated = False
        self.unreadable: dict[str, str] = {}
        self._left = MAX_READ_BYTES
        self._bytes: dict[str, bytes | None] = {}
        self._modules: dict[str, ast.Module | None] = {}
        try:
            found = self._walk()
        except OSError as error:
            raise NothingToAuditError(
                f"{root} cannot be read: {error.strerror}.", next_step="Run as a user who may read it."
            ) from None
        self.names: tuple[str, ...] = tuple(sorted(found, key=lambda name: (name.count("/"), name)))
        self._set = frozenset(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._set

    @cached_property
    def directories(self) -> frozenset[str]:
        """Every directory that holds a file, the root as an empty string."""
        found = {""}
        for name in self.names:
            found.update(str(parent) for parent in PurePosixPath(name).parents if str(parent) != ".")
        return frozenset(found)

    @cached_property
    def python(self) -> tuple[str, ...]:
        """The application's own Python files: no tests, examples, documentation or scripts."""
        own = [name for name in self.names if name.endswith(".py") and not is_aside(name)]
        self.truncated = self.truncated or len(own) > MAX_MODULES
        return tuple(own[:MAX_MODULES])

    def named(self, *basenames: str) -> list[str]:
        """The files with one of these base names, nearest to the root first."""
        return [name for name in self.names if name.rpartition("/")[2] in basenames]

    def content(self, name: str) -> bytes | None:
        """The bytes of a file."""
        if name not in self._bytes:
            self._bytes[name] = self._read(name) if name in self._set else None
        return self._bytes[name]

    def text(self, name: str) -> str:
        """The text of a file, empty if it has none; UTF-8, or UTF-16 with its mark, as PowerShell writes."""
        content = self.content(name) or b""
        encoding = next((encoding for mark, encoding in _BOMS if content.startswith(mark)), "utf-8")
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            self.unreadable[name] = "it is not UTF-8"
            return ""

    def lines(self, name: str) -> list[tuple[int, str]]:
        """The numbered lines of a text file."""
        return list(enumerate(self.text(name).splitlines(), start=1))

    def line_of(self, name: str, *needles: str) -> int:
        """The first line that holds all needles, ignoring case; 1 if none does."""
        low = [needle.lower() for needle in needles]
        return next((number for number, line in self.lines(name) if all(n in line.lower() for n in low)), 1)

    def module(self, name: str) -> ast.Module | None:
        """The syntax tree of a Python file."""
        if name not in self._modules:
            self._modules[name] = self._parse(name)
        return self._modules[name]

    def toml(self, name: str) -> dict[str, Any]:
        """A TOML file's tables."""
        try:
            return tomllib.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            self.unreadable[name] = f"it is not TOML: {error}"
            return {}

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file's object."""
        try:
            found = json.loads(self.text(name) or "{}")
        except (ValueError, RecursionError) as error:
            self.unreadable[name] = f"it is not JSON: {error}"
            return {}
        return found if isinstance(found, dict) else {}

    def ini(self, name: str) -> dict[str, dict[str, str]]:
        """An INI file's sections, without interpolation."""
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(self.text(name))
        except (configparser.Error, AttributeError) as error:  # AttributeError: a continuation of nothing
            self.unreadable[name] = f"it is not INI: {error}"
            return {}
        return {section: dict(parser.items(section)) for section in parser.sections()}

    def _walk(self) -> list[str]:
        found: list[str] = []
        todo = [("", 0)]
        while todo:
            directory, depth = todo.pop(0)
            try:
                entries = sorted(os.scandir(self.root / directory), key=lambda entry: entry.name)
            except OSError:
                if not directory:
                    raise
                self.unreadable[directory] = "it cannot be listed"
                continue
            for entry in entries:
                name = f"{directory}/{entry.name}" if directory else entry.name
                if not name.isprintable():
                    continue  # no module, and no file that a person would look for, has such a name
                if len(found) >= MAX_FILES:
                    self.truncated = True
                    return found
                if entry.is_dir(follow_symlinks=False):
                    if entry.name in _SKIPPED:
                        continue
                    if depth < MAX_DEPTH:
                        todo.append((name, depth + 1))
                    else:
                        self.truncated = True
                elif entry.is_file(follow_symlinks=False) or (entry.is_symlink() and self._inside(name)):
                    found.append(name)
        return found

    def _inside(self, name: str) -> bool:
        try:
            path = (self.root / name).resolve(strict=True)
            return path.is_file() and path.is_relative_to(self.root)
        except (OSError, RuntimeError):  # RuntimeError: a loop of links
            return False

    def _read(self, name: str) -> bytes | None:
        try:
            path = (self.root / name).resolve(strict=True)
            if not path.is_relative_to(self.root):
                return None
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as stream:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return None
                content = stream.read(MAX_FILE_BYTES + 1)
        except (OSError, RuntimeError):
            self.unreadable[name] = "it cannot be read"
            return None
        if len(content) > MAX_FILE_BYTES:
            self.unreadable[name] = f"it is larger than {MAX_FILE_BYTES // 1024**2} MiB"
            return None
        if len(content) > self._left:
            self.truncated = True
            return None
        self._left -= len(content)
        return content

    def _parse(self, name: str) -> ast.Module | None:
        content = self.content(name)
        if content is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a stranger's invalid escapes are not ours to report
                return ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self.unreadable[name] = f"it is not Python that {type(error).__name__} would let pass"
            return None


def is_aside(name: str) -> bool:
    """Whether a file is beside the application: tests, documentation, examples, scripts."""
    *directories, base = name.split("/")
    return (
        any(directory.lower() in _ASIDE for directory in directories)
        or base.startswith("test_")
        or base.endswith("_test.py")
        or base in ("conftest.py", "setup.py", "noxfile.py", "fabfile.py")
    )
