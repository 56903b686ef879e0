"""Dependencies as files: installed once by pip in the sandbox, made the same for everybody, and kept by content."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from prodsprints.controls.providers.guards import Guards, Policy
from prodsprints.guard import (
    Attempt,
    CircuitOpenError,
    Retry,
    ServiceUnavailable,
    retry_if_exception_type,
    stop_after_attempt,
)
from prodsprints.kernel.redaction import Redactor
from prodsprints.release.image.dependencies import Dependencies
from prodsprints.release.image.errors import InstallError, NoSpaceError
from prodsprints.release.image.index import PackageIndex, package_index
from prodsprints.release.image.interpreter import Interpreter
from prodsprints.release.image.layer import MAX_BYTES
from prodsprints.release.image.layout import canonical, enough_space, locked
from prodsprints.release.image.normalise import normalise
from prodsprints.runtime import sandbox, users

_FORM = "1"  # raise it when what this module writes changes
_TIMEOUT_SECONDS = 20 * 60.0
_ATTEMPTS = 2  # pip makes each of its requests again by itself
_SHOWN_LINES = 12
_MAX_REPORT_BYTES = 64 * 1024**2
_PIP = (
    *("install", "--no-compile", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off"),
    *("--no-warn-script-location", "--root-user-action=ignore"),
)
_OFFLINE = re.compile(
    r"NewConnectionError|NameResolutionError|Name or service not known|Temporary failure in name resolution"
    r"|Network is unreachable|Connection refused|nodename nor servname|ConnectTimeout|ProxyError"
)
_OFFLINE_STEP = "Connect to the package index (PIP_INDEX_URL, proxies), then try again; what was built before is kept."
_HINTS = (
    (re.compile(r"No space left on device"), ""),
    (_OFFLINE, _OFFLINE_STEP),
    (re.compile(r"DO NOT MATCH THE HASHES"), "Someone changed a package, or the hashes are old: lock anew and look."),
    (re.compile(r"must have hashes"), "Lock all of them with hashes (pip-compile --generate-hashes, uv export)."),
    (re.compile(r"ResolutionImpossible|conflicting"), "Relax the versions that pip names above so that they agree."),
    (
        re.compile(r"requires a different Python"),
        "State the `python` that it needs in prodsprints.yaml.",
    ),
    (re.compile(r"No matching distribution|Could not find a version"), "Correct the name or version that pip names."),
    (
        re.compile(r"Failed building wheel|metadata-generation-failed|error: subprocess"),
        "Pin a version that has a wheel.",
    ),
)


def install(
    dependencies: Dependencies,
    *,
    tree: Path,
    interpreter: Interpreter,
    cache: Path,
    name: str,
    guards: Guards,
    on_line: Callable[[str], None],
    pulse: Callable[[], None] = lambda: None,
) -> Path:
    """The directory that holds `site-packages/`, `bin/` and `archives.json` for `dependencies`.

    A second call with equal dependencies finds the first one's result and needs no network. `name` is the
    application's: builds of one application share a user. Setup programs of packages run confined, but with the
    network and the package index's address in reach, as they must. All builds reach the index through one guard of
    `guards`: while it is gone, they need not all find out. Raises InstallError, NoSpaceError.
    """
    inside = [_tree_hash(tree)] if dependencies.needs_tree else []
    key = dependencies.key(_FORM, interpreter.tag, interpreter.platform, *inside)
    store = cache / "dependencies"
    installed = store / key
    with enough_space(cache), locked(store / f".{key}.lock"):
        if installed.is_dir():
            on_line(f"dependencies: unchanged since {key[:12]} was installed")
            return installed
        work = Path(tempfile.mkdtemp(dir=store, prefix=f".{key[:12]}."))
        try:
            _Build(work, dependencies, interpreter, name, guards, on_line, pulse).run(tree)
            (work / "installed").rename(installed)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return installed


class _IndexUnreachableError(ServiceUnavailable):
    """pip ended because it could not connect."""

    def __init__(self, done: sandbox.Completed) -> None:
        super().__init__("The package index cannot be reached.")
        self.done = done


# Only a connection that fails counts, and is tried once more: what pip says of packages is no fault of the index's.
_POLICY = Policy(
    retry=Retry(stop=stop_after_attempt(_ATTEMPTS), retry=retry_if_exception_type(_IndexUnreachableError)),
    failures=(_IndexUnreachableError,),
)


class _Build:
    """One installation in a working directory of its own."""

    def __init__(
        self,
        work: Path,
        dependencies: Dependencies,
        interpreter: Interpreter,
        name: str,
        guards: Guards,
        on_line: Callable[[str], None],
        pulse: Callable[[], None],
    ) -> None:
        self.work = work
        self.dependencies = dependencies
        self.interpreter = interpreter
        self.user = users.unprivileged(f"build:{name}")
        self.pip = _pip_of_its_own(work.parent)
        self.index: PackageIndex = package_index()
        self.guard = guards.guard("package-index", policy=_POLICY)
        redactor = Redactor(self.index.secrets)
        self.on_line = lambda line: on_line(redactor.text(line))
        self.pulse = pulse

    def run(self, tree: Path) -> None:
        self._lay_out(tree)
        target = self.work / "target"
        stated = [*(part for root in self.dependencies.roots for part in ("-r", root)), *self.dependencies.specifiers]
        servers = list(self.dependencies.servers)
        if self.dependencies.hashed and servers:
            # pip would ask for hashes of the servers as well; installed apart, they must agree with the rest.
            archives = self._pip(stated, target, "locked.txt")
            self._constrain(target, "installed.txt")
            archives = self._pip(servers, self.work / "servers", "installed.txt") | archives
            _merge(self.work / "servers", target)
        else:
            archives = self._pip([*stated, *servers], target, "locked.txt")
        if os.geteuid() == 0:
            users.give(target, os.geteuid())
        result = self.work / "installed"
        normalise(target, result)
        (result / "archives.json").write_bytes(canonical(archives))

    def _lay_out(self, tree: Path) -> None:
        """Put before pip what it may read: the requirement files, or a copy of the tree where packages are inside."""
        self.work.chmod(0o755)
        for name in ("home", "tmp", "target", "servers"):
            (self.work / name).mkdir()
        copy = self.work / "tree"
        if self.dependencies.needs_tree:
            shutil.copytree(tree, copy, symlinks=True)
        for name, text in self.dependencies.files.items():
            path = copy / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        copy.mkdir(exist_ok=True)
        (self.work / "locked.txt").write_text("".join(f"{pin}\n" for pin in self.dependencies.constraints))
        for directory in self._writable():  # but not `work` itself: they could put links in the place of these
            users.give(directory, self.user)

    def _writable(self) -> tuple[Path, ...]:
        return tuple(self.work / name for name in ("tree", "home", "tmp", "target", "servers"))

    def _pip(self, wanted: Sequence[str], target: Path, constraints: str) -> dict[str, dict[str, str]]:
        """Install `wanted` into `target`; the archives that came, by name."""
        if not wanted:
            return {}
        report = self.work / "tmp" / f"{target.name}.json"
        pinned = ["-c", str(self.work / constraints)] if (self.work / constraints).stat().st_size else []
        # -S: what happens to be installed beside the interpreter must not take part in pip's decisions.
        installer = (str(self.interpreter.executable), "-I", "-S", str(self.pip))
        where = ("--target", str(target), "--report", str(report))
        argv = [*installer, *_PIP, *where, *pinned, *wanted]
        try:
            self.guard.with_attempt(self._run)(argv)
        except _IndexUnreachableError as unreachable:
            raise self._failure(unreachable.done) from None
        except CircuitOpenError as error:
            raise InstallError(
                "The dependencies were not installed: the package index cannot be reached.",
                why=error.why,
                next_step=f"{_OFFLINE_STEP} {error.next_step}",
            ) from None
        return _archives(report)

    def _run(self, attempt: Attempt, argv: Sequence[str]) -> None:
        done = sandbox.run(
            argv,
            cwd=self.work / "tree",
            env=sandbox.environment(
                {**self.index.environment, "HOME": str(self.work / "home"), "TMPDIR": str(self.work / "tmp")}
            ),
            confinement=sandbox.Confinement(
                writable=self._writable(),
                readable=(self.work, self.pip, self.interpreter.prefix, *self.index.paths),
                network=True,
                user=self.user,
                limits=sandbox.Limits(file_bytes=MAX_BYTES),
            ),
            timeout_seconds=attempt.remaining_seconds,
            on_line=self.on_line,
            pulse=self.pulse,
        )
        if done.timed_out or done.exit_code != 0:
            offline = not done.timed_out and _OFFLINE.search("\n".join(done.tail))
            raise _IndexUnreachableError(done) if offline else self._failure(done)

    def _constrain(self, target: Path, name: str) -> None:
        found = metadata.distributions(path=[str(target)])
        pins = sorted(f"{distribution.metadata['Name']}=={distribution.version}\n" for distribution in found)
        (self.work / name).write_text("".join(pins))

    def _failure(self, done: sandbox.Completed) -> InstallError | NoSpaceError:
        redactor = Redactor(self.index.secrets)
        said = "\n".join(redactor.text(line) for line in done.tail)
        step = next((hint for pattern, hint in _HINTS if pattern.search(said)), "Read what pip says above; correct it.")
        if not step:
            return NoSpaceError(
                "No space is left for installing dependencies.", next_step=f"Free some space on {self.work.parent}."
            )
        if done.timed_out:
            what = f"Installing the dependencies took longer than {_TIMEOUT_SECONDS:.0f} s and was stopped."
        elif _OFFLINE.search(said):
            what = "The dependencies could not be installed: the package index cannot be reached from here."
        else:
            what = f"The dependencies could not be installed (pip ended with {done.exit_code})."
        shown = [line for line in said.splitlines() if line.strip()][-_SHOWN_LINES:]
        return InstallError(what, why="\n".join(["pip's last words:", *shown]), next_step=step)


def _pip_of_its_own(store: Path) -> Path:
    """A copy of our pip, apart from all that is installed with us: pip puts what surrounds it on its path."""
    spec = find_spec("pip")
    if spec is None or spec.origin is None:
        raise InstallError("pip is not installed beside ProdSprints.", next_step="Install it: python -m ensurepip")
    place = store / f".pip-{metadata.version('pip')}"
    with locked(store / ".pip.lock"):
        if not place.is_dir():
            work = Path(tempfile.mkdtemp(dir=store, prefix=".pip."))
            work.chmod(0o755)
            shutil.copytree(Path(spec.origin).parent, work / "pip")
            work.rename(place)
    return place / "pip"


def _archives(report: Path) -> dict[str, dict[str, str]]:
    """Name → version and sha256 of each archive that was installed. The report was written by strangers' code."""
    try:
        # Neither a link nor a pipe may stand in its place.
        descriptor = os.open(report, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            entries = json.loads(stream.read(_MAX_REPORT_BYTES))["install"]
        return {
            str(entry["metadata"]["name"]): {
                "version": str(entry["metadata"]["version"]),
                "sha256": str(entry["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", "")),
            }
            for entry in entries
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InstallError("pip's report of what it installed is not readable.", next_step="Try again.") from None


def _merge(source: Path, target: Path) -> None:
    """Move what `target` does not have yet; the versions agree, so what both have is the same."""
    for entry in list(source.iterdir()):
        present = target / entry.name
        if not os.path.lexists(present):
            entry.rename(present)
        elif entry.is_dir() and not entry.is_symlink() and present.is_dir() and not present.is_symlink():
            _merge(entry, present)


def _tree_hash(tree: Path) -> str:
    digest = hashlib.sha256()
    for directory, names, files in os.walk(tree):
        names.sort()
        for name in sorted(files):
            path = Path(directory, name)
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            digest.update(os.fsencode(path.relative_to(tree)) + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()
