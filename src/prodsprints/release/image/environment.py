"""What to start, and with which variables, for an unpacked image or for the tests of a tree."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from prodsprints.controls.providers.guards import Guards
from prodsprints.release.audit.values import Application
from prodsprints.release.image import build
from prodsprints.release.image.dependencies import collect
from prodsprints.release.image.errors import UnsafeImageError
from prodsprints.release.image.install import install
from prodsprints.release.image.interpreter import Interpreter, find
from prodsprints.release.image.unpack import CONFIG_FILE
from prodsprints.runtime import sandbox


@dataclass(frozen=True)
class Runtime:
    """All that a confined start needs: `argv` (with `$PORT` still in it), the whole `env`, `workdir`, what to read."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    workdir: Path
    readable: tuple[Path, ...]


def runtime_environment(rootfs: Path, command: Sequence[str] = ()) -> Runtime:
    """How to run `command`, or what the image itself states, in the unpacked image at `rootfs`.

    `python` is a virtual environment of the host's interpreter of the recorded minor version: it finds the image's
    packages and the application, and none of this machine's. Raises InterpreterError when that version is gone.
    """
    config = json.loads((rootfs.parent / CONFIG_FILE).read_bytes())["config"]
    interpreter = find(f"=={config['Labels'][build.PYTHON_LABEL]}.*")
    packages = rootfs / build.PACKAGES
    identity = hashlib.sha256(str(interpreter.executable).encode()).hexdigest()[:12]
    python = _virtual_environment(rootfs.parent / f"python-{identity}", interpreter, [packages / "site-packages"])
    stated = dict(entry.split("=", 1) for entry in config["Env"])
    stated["PYTHONPATH"] = ":".join(str(_inside(rootfs, part)) for part in stated["PYTHONPATH"].split(":"))
    return Runtime(
        argv=tuple(command or config["Cmd"]),
        env=_environment(stated, [python / "bin", packages / "bin"]),
        workdir=_inside(rootfs, config["WorkingDir"]),
        readable=(rootfs.parent, interpreter.prefix),
    )


def environment_for_tests(
    tree: Path,
    application: Application,
    *,
    cache: Path,
    work: Path,
    guards: Guards,
    on_line: Callable[[str], None],
    pulse: Callable[[], None] = lambda: None,
) -> Runtime:
    """How to run the tests of `tree`: the packages of its image and, in the same versions, those for its tests.

    `work` is an existing directory for what this run alone needs. Raises an ImageError.
    """
    interpreter = find(application.requires_python)
    installed = partial(
        install,
        tree=tree,
        interpreter=interpreter,
        cache=cache,
        name=application.name,
        guards=guards,
        on_line=on_line,
        pulse=pulse,
    )
    released = collect(tree, application.dependencies, application.extra_packages)
    found: list[Path] = [] if released.empty else [installed(released)]
    extra = collect(tree, application.test_packages)
    if not extra.empty:
        pins = tuple(pin for directory in found for pin in _versions(directory / "site-packages"))
        found.append(installed(extra.constrained_by(pins)))
    python = _virtual_environment(work / "python", interpreter, [directory / "site-packages" for directory in found])
    stated = build.environment(application, tree)
    stated["PYTHONPATH"] = ":".join(
        str(tree / Path(part).relative_to(f"/{build.APPLICATION}")) for part in stated["PYTHONPATH"].split(":")
    )
    return Runtime(
        argv=application.test,
        env=_environment(stated, [python / "bin", *(directory / "bin" for directory in found)]),
        workdir=tree,
        readable=(work, interpreter.prefix, *found),
    )


def _environment(stated: Mapping[str, str], programs: Sequence[Path]) -> dict[str, str]:
    clean = sandbox.environment()
    path = ":".join([*map(str, programs), clean["PATH"]])
    # What was unpacked is verified and compiled; nobody adds to it.
    return {**clean, "PYTHONDONTWRITEBYTECODE": "1", **stated, "PATH": path}


def _virtual_environment(path: Path, interpreter: Interpreter, packages: Sequence[Path]) -> Path:
    """A virtual environment in `path` whose packages are `packages`, with their .pth files honoured."""
    if path.is_dir():
        return path
    work = Path(tempfile.mkdtemp(dir=path.parent, prefix=".python."))
    try:
        work.chmod(0o755)
        own = work / "lib" / f"python{interpreter.minor}" / "site-packages"
        own.mkdir(parents=True)
        (work / "bin").mkdir()
        for name in ("python", "python3", f"python{interpreter.minor}"):
            (work / "bin" / name).symlink_to(interpreter.executable)
        (work / "pyvenv.cfg").write_text(
            f"home = {interpreter.executable.parent}\ninclude-system-site-packages = false\n"
            f"version = {interpreter.version}\n"
        )
        lines = [f"import site; site.addsitedir({str(directory)!r})\n" for directory in packages]
        (own / "image.pth").write_text("".join(lines))
        try:
            work.rename(path)
        except OSError:  # somebody else was quicker, with the same content
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return path


def _inside(rootfs: Path, path: str) -> Path:
    inner = rootfs / path.lstrip("/")
    if ".." in inner.parts:
        raise UnsafeImageError(f"The image names the path {path!r}.", next_step="Build it again from its commit.")
    return inner


def _versions(packages: Path) -> list[str]:
    return sorted(
        f"{found.metadata['Name']}=={found.version}" for found in metadata.distributions(path=[str(packages)])
    )
