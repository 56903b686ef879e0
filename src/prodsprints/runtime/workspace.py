"""An instance's own directory: a writable copy of its code, its orders, and what its processes may see."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prodsprints.kernel import redaction
from prodsprints.runtime import sandbox, users
from prodsprints.runtime.errors import StorageError
from prodsprints.runtime.values import InstanceSpec

_MAX_FILES = 100_000
_MAX_BYTES = 2 * 1024**3
_PORT = re.compile(r"\$\{PORT\}|\$PORT(?![A-Za-z0-9_])")


@dataclass(frozen=True)
class Workspace:
    """Where one instance lives. The log stands apart, since it outlives the rest."""

    root: Path
    log: Path

    @property
    def app(self) -> Path:
        """The app's writable copy of its code, and its current directory."""
        return self.root / "app"

    @property
    def temporary(self) -> Path:
        """HOME and TMPDIR of the app."""
        return self.root / "tmp"

    @property
    def status_file(self) -> Path:
        """What the shim says of the app."""
        return self.root / "status.json"

    def create(self, spec: InstanceSpec) -> None:
        """Copy the code, once; an existing copy (with the data the app wrote beside it) is kept."""
        user = users.unprivileged(f"app:{spec.environment}")
        try:
            self.log.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.root.mkdir(parents=True, exist_ok=True)
            # The app's user must be able to pass through; what lies beside its own directories is not for it to list.
            self.root.chmod(0o711)
            self.temporary.mkdir(exist_ok=True, mode=0o700)
            users.give(self.temporary, user)
            if not self.app.exists():
                draft = self.root / "app.partial"
                shutil.rmtree(draft, ignore_errors=True)
                _copy(Path(spec.rootfs) / spec.workdir, draft)
                users.give(draft, user)
                draft.rename(self.app)
        except OSError as error:
            raise StorageError(
                f"The instance's directory {self.root} cannot be made: {error.strerror} ({error.filename}).",
                next_step="Free some disk space or correct the permissions, then release again.",
            ) from None

    def orders(self, spec: InstanceSpec, *, port: int, prepare: bool) -> dict[str, Any]:
        """What the shim is told. Holds secrets: hand it over by pipe only."""
        environment = self._environment(spec, port)
        confinement = sandbox.Confinement(
            writable=(self.app, self.temporary),
            readable=(Path(spec.rootfs), *map(Path, spec.readable)),
            network=True,
            user=users.unprivileged(f"app:{spec.environment}"),
            limits=sandbox.Limits(memory_bytes=spec.memory_bytes),
        )

        def wrapped(argv: Sequence[str]) -> list[str]:
            words = [_PORT.sub(str(port), self._filled(spec, word)) for word in argv]
            return sandbox.command(words, confinement, cwd=self.app)

        return {
            "argv": wrapped(spec.argv),
            "prepare": [
                {"shown": " ".join(argv)[:200], "wrapped": wrapped(argv)} for argv in (spec.prepare if prepare else ())
            ],
            "env": environment,
            "port": port,
            "grace_seconds": spec.grace_seconds,
            "secrets": known_secrets(spec.env),
            "redaction": redaction.__file__,
            "log_directory": str(self.log),
            "status_file": str(self.status_file),
            "lock_file": str(self.root / "lock"),
        }

    def remove(self) -> None:
        """Everything but the log."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _environment(self, spec: InstanceSpec, port: int) -> dict[str, str]:
        given = {name: self._filled(spec, value) for name, value in spec.env.items()}
        clean = sandbox.environment({"HOME": str(self.temporary), "TMPDIR": str(self.temporary)})
        ahead = [given["PATH"]] if "PATH" in given else []
        path = os.pathsep.join([*ahead, str(sandbox.base_python().parent), clean["PATH"]])
        return {**clean, "PYTHONUNBUFFERED": "1", **given, "PATH": path, "PORT": str(port)}

    def _filled(self, spec: InstanceSpec, text: str) -> str:
        for name, value in (("app", self.app), ("rootfs", spec.rootfs), ("python", sandbox.base_python())):
            text = text.replace(f"{{{name}}}", str(value))
        return text


def known_secrets(environment: Mapping[str, str]) -> list[str]:
    """The values that must not reach the log: what redaction would hide for its name, and passwords in addresses."""
    redactor = redaction.Redactor()
    secrets = {value for name, value in environment.items() if redactor.value({name: value})[name] != value}
    for value in tuple(secrets):
        try:
            password = urlsplit(value).password
        except ValueError:
            continue
        if password:
            secrets.add(password)
    return sorted(secrets)


def _copy(source: Path, target: Path) -> None:
    files, size = 0, 0
    target.mkdir()
    for directory, names, entries in os.walk(source):
        here = target / os.path.relpath(directory, source)
        for name in (*names, *entries):
            origin, copy = Path(directory, name), here / name
            files += 1
            if origin.is_symlink():
                copy.symlink_to(origin.readlink())
                continue
            mode = origin.stat().st_mode & 0o777 | 0o600
            if origin.is_dir():
                copy.mkdir()
                copy.chmod(mode | 0o700)
                continue
            if not origin.is_file():
                continue
            size += origin.stat().st_size
            if files > _MAX_FILES or size > _MAX_BYTES:
                raise StorageError(
                    f"The code to run has more than {_MAX_FILES:,} files or {_MAX_BYTES >> 30} GiB.",
                    why="Each instance gets a writable copy of its own.",
                    next_step="Keep data and build products out of the repository.",
                )
            shutil.copyfile(origin, copy)
            copy.chmod(mode)
