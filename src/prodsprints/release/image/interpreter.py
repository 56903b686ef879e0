"""The Python of this machine that an image is built for and runs on: never the platform's own environment."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from prodsprints.release.image.errors import InterpreterError
from prodsprints.runtime import sandbox, users

_NEWEST_MINOR, _OLDEST_MINOR = 14, 10  # 3.9 has reached its end of life: neither pip nor the servers support it
_USER = 61_000  # stands for any unprivileged one

_QUESTION = (
    "import json, platform, sys, sysconfig; print(json.dumps([getattr(sys, '_base_executable', sys.executable),"
    " sys.base_prefix, platform.python_version(), sys.implementation.cache_tag, sysconfig.get_platform(),"
    " '-'.join(platform.libc_ver())]))"
)


@dataclass(frozen=True)
class Interpreter:
    """A base interpreter (of no virtual environment) on this machine."""

    executable: Path
    prefix: Path
    version: str  # "3.11.7"
    tag: str  # "cpython-311"
    platform: str  # "linux-x86_64-glibc-2.36"

    @property
    def minor(self) -> str:
        """What packages are built for: `3.11`."""
        return ".".join(self.version.split(".")[:2])


def find(requires_python: str) -> Interpreter:
    """The running interpreter if `requires_python` admits it, else the newest one on PATH that fits.

    As root without bubblewrap only those count that an unprivileged user can reach.
    """
    try:
        wanted = SpecifierSet(requires_python)
    except InvalidSpecifier:
        raise InterpreterError(
            f"requires-python is {requires_python[:100]!r}, which is no version specifier.",
            next_step="Correct it in pyproject.toml, for example >=3.11.",
        ) from None
    found = [interpreter for interpreter in _installed() if wanted.contains(interpreter.version, prereleases=True)]
    if found:
        return found[0]
    present = ", ".join(interpreter.version for interpreter in _installed()) or "none"
    raise InterpreterError(
        f"No Python here satisfies {requires_python or 'any version'} (usable: {present}).",
        why="Supported are 3.10 to 3.14; where there is no bubblewrap, root needs one outside closed home directories.",
        next_step="Install a matching python3.X so that it is on PATH, or relax requires-python.",
    )


@functools.cache
def _installed() -> tuple[Interpreter, ...]:
    names = [f"python3.{minor}" for minor in range(_NEWEST_MINOR, _OLDEST_MINOR - 1, -1)]
    directories = os.environ.get("PATH", os.defpath).split(os.pathsep)
    paths = [str(sandbox.base_python())]
    for name in names:  # also behind shims that do not work, there may be one that does
        paths += [path for directory in directories if (path := shutil.which(name, path=directory))]
    found: dict[Path, Interpreter] = {}
    for path in paths:
        interpreter = _ask(path)
        if interpreter is not None and _usable(interpreter):
            found.setdefault(interpreter.executable.resolve(), interpreter)
    return tuple(found.values())


def _ask(path: str) -> Interpreter | None:
    try:
        done = subprocess.run(
            [path, "-I", "-c", _QUESTION], cwd="/", capture_output=True, timeout=10, check=True, text=True
        )
        executable, prefix, version, tag, platform, libc = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(Path(executable), Path(prefix), version, tag, f"{platform}-{libc}")


def _usable(interpreter: Interpreter) -> bool:
    if not _OLDEST_MINOR <= int(interpreter.version.split(".")[1]) <= _NEWEST_MINOR:
        return False
    if sandbox.bubblewrap() is not None or os.geteuid() != 0:
        return True
    return users.reachable(interpreter.executable, _USER) and users.reachable(interpreter.prefix / "lib", _USER)
