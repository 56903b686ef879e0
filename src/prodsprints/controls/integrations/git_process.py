"""Git as it is run on our mirrors: isolated from all configuration, bounded, and its failures told apart.

Nothing here trusts the host: what arrives is checked object by object before it counts (`transfer.fsckObjects`), no
redirect is followed, no hook, filter, submodule or credential helper but ours has a say.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from prodsprints.controls.integrations.git_errors import (
    DamagedMirrorError,
    HostRefusedError,
    HostUnavailableError,
    HostUnreachableError,
    MirrorError,
    MirrorTooLargeError,
)
from prodsprints.kernel.errors import ProdSprintsError

SWITCHED_OFF = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.untrackedCache=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.sshCommand=false"),
    *("-c", "core.pager=cat"),
    *("-c", "core.precomposeUnicode=false"),
)
"""What a repository's own configuration could run a program by."""

ISOLATED = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",  # a commit id means what it says
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
"""The environment in which only what is asked for happens."""

_FETCHING = (
    *("-c", "transfer.fsckObjects=true"),
    *("-c", "fetch.unpackLimit=1"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    *("-c", "http.followRedirects=false"),
    *("-c", "http.lowSpeedLimit=500"),
    *("-c", "credential.helper="),
    *("-c", "core.bigFileThreshold=16m"),  # bigger ones are streamed: a bomb costs disk, not memory
    *("-c", "pack.threads=1"),
    *("-c", "protocol.version=2"),
)
_LOOK_SECONDS = 0.05
_ASK_SECONDS = 60.0
_MOST_SAID_BYTES = 4 * 1024**2
_MOST_ANSWER_BYTES = 8 * 1024**2


@dataclass(frozen=True)
class Bounds:
    """How much a fetch may take: bytes in the mirror, seconds in all, and seconds without a sign of life."""

    size_bytes: int = 2 * 1024**3
    seconds: float = 600.0
    silence_seconds: float = 20.0


@dataclass(frozen=True)
class Way:
    """How the host is reached: further options of Git, variables (a credential's reference among them)."""

    protocol: str
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Answer:
    """What Git said, and whether it succeeded."""

    ok: bool
    output: str
    error: str


def ask(git_dir: Path, *arguments: str, seconds: float = _ASK_SECONDS) -> Answer:
    """One command on a mirror that talks to nobody. Raises MirrorError."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = _started(git_dir, arguments, {"GIT_ALLOW_PROTOCOL": "none"}, output, errors)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise MirrorError(
                f"git {arguments[0]} did not end within {seconds:g} seconds.",
                next_step=f"Check the disk that {git_dir.parent} is on, then release again.",
            ) from None
        finally:
            _end(process)
        output.seek(0)
        return Answer(process.returncode == 0, output.read(_MOST_ANSWER_BYTES).decode(errors="replace"), _said(errors))


def reading(git_dir: Path) -> subprocess.Popen[bytes]:
    """A `git cat-file --batch` on pipes, for whoever reads many objects; its reader ends it. Raises MirrorError."""
    arguments = ("-c", "core.bigFileThreshold=1m", "cat-file", "--batch")
    pipe = subprocess.PIPE
    return _started(git_dir, arguments, {"GIT_ALLOW_PROTOCOL": "none"}, pipe, subprocess.DEVNULL, stdin=pipe)


def fetch(
    git_dir: Path,
    url: str,
    refspecs: Sequence[str],
    *,
    way: Way,
    bounds: Bounds,
    pulse: Callable[[str], None],
    lock: int,
) -> None:
    """Bring the refs of `url` to the mirror, all of them or none; `pulse` hears how far it is, and may raise.

    Git holds the descriptor `lock` for as long as it lives, also when we die. Raises HostUnavailableError,
    HostUnreachableError, HostRefusedError, MirrorTooLargeError, MirrorError, DamagedMirrorError.
    """
    arguments = (
        *_FETCHING,
        *("-c", f"http.lowSpeedTime={max(1, round(bounds.silence_seconds))}"),
        *way.options,
        *("fetch", "--atomic", "--force", "--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
        *("--no-recurse-submodules", "--prune", "--", url, *refspecs),
    )
    environment = {**(way.environment or {}), "GIT_ALLOW_PROTOCOL": way.protocol}
    with tempfile.TemporaryFile() as errors:
        process = _started(git_dir, arguments, environment, subprocess.DEVNULL, errors, lock=lock)
        try:
            _see_through(process, git_dir, errors, bounds, pulse)
        except BaseException:
            _end(process)
            sweep(git_dir)
            raise
        _end(process)
        if process.returncode != 0:
            sweep(git_dir)
            raise failure(_said(errors))


def sweep(git_dir: Path) -> None:
    """Remove what a killed Git left: halves of packs, and locks that nobody holds. Under the mirror's lock only."""
    for left in (
        *(git_dir / "objects" / "pack").glob("tmp_*"),
        *git_dir.glob("*.lock"),
        *(git_dir / "refs").rglob("*.lock"),
    ):
        left.unlink(missing_ok=True)


def failure(said: str) -> ProdSprintsError:
    """What Git's words on stderr mean for whoever wanted to fetch. Those of the host itself are left out."""
    told = [line.strip() for line in re.split(r"[\r\n]+", said) if re.match(r"\s*(fatal|error): ", line)]
    text = "\n".join(told)
    shown = "".join(c for c in " ".join(told)[:300] if c.isprintable()) or "Git ended without a word."
    for pattern, error in _FAILURES:
        if re.search(pattern, text, re.IGNORECASE):
            return error(shown)
    return HostUnavailableError("The Git host does not answer as one.", why=shown)


def _unreachable(why: str) -> ProdSprintsError:
    return HostUnreachableError("The Git host cannot be reached.", why=why)


def _failing(why: str) -> ProdSprintsError:
    return HostUnavailableError("The Git host fails.", why=why)


def _refused(what: str, next_step: str) -> Callable[[str], ProdSprintsError]:
    return lambda why: HostRefusedError(what, why=why, next_step=next_step)


_FAILURES: tuple[tuple[str, Callable[[str], ProdSprintsError]], ...] = (
    (
        r"no space left on device|disk quota exceeded|file too large|unable to write|write error",
        lambda why: MirrorError(
            "The disk has no room for what the Git host sent.",
            why=f"{why} What the mirror held before is still there.",
            next_step="Free space below the home's mirrors/, then release again.",
        ),
    ),
    (
        r"returned error: 3\d\d|unable to update url base",
        _refused(
            "The Git host redirects to another address, which is not followed.",
            "Find out with a browser where the repository is now, and give that address.",
        ),
    ),
    (
        r"returned error: 40[137]|could not read (username|password)|authentication failed",
        _refused(
            "The Git host does not let us read this repository.",
            "State a credential that may read it in git-hosts.yaml (docs/how-to/release-from-a-git-host.md).",
        ),
    ),
    (
        r"couldn't find remote ref HEAD",
        _refused("The repository has no default branch.", "Set one on the host, or name what to release with --ref."),
    ),
    (
        r"repository '.*' not found|returned error: 4(04|10)|remote error: .*(denied|not exported|not found|forbidden)",
        _refused(
            "The Git host has no such repository, or does not show it to us.",
            "Correct the address, or state a credential that may read it in git-hosts.yaml.",
        ),
    ),
    (r"returned error: (429|408|5\d\d)|rpc failed; http 5\d\d", _failing),
    (r"ssl|certificate|gnutls|tls", _failing),
    (
        r"fsck error",
        _refused(
            "The repository holds objects that Git's own check (fsck) refuses, so it is not taken.",
            "Run `git fsck --strict` in a clone of it, and rewrite what that names.",
        ),
    ),
    (
        r"bad object|did not send all necessary objects|unable to read [0-9a-f]{40}|packed object .* is corrupt"
        r"|loose object .* is corrupt|failed to read (delta|object)|index (file|uses)|packfile .* (cannot|does not)"
        r"|unresolved delta|refusing to work with|bad packed|missing (blob|tree|commit)|invalid sha1",
        lambda why: DamagedMirrorError("The mirror is damaged.", why=why, next_step="Release again."),
    ),
    (
        r"could not resolve (host|proxy)|couldn't connect|failed to connect|connection|timed out|too slow|empty reply"
        r"|recv failure|send failure|transfer closed|early eof|hung up|unexpected disconnect|rpc failed|pack is corrupt"
        r"|inflate|pack has bad|bad line length|invalid index-pack|protocol error|did not receive",
        _unreachable,
    ),
)


def _see_through(
    process: subprocess.Popen[bytes], git_dir: Path, errors: IO[bytes], bounds: Bounds, pulse: Callable[[str], None]
) -> None:
    began = heard = time.monotonic()
    last = (-1, -1)
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_SECONDS)
        now = time.monotonic()
        state = (_packed_bytes(git_dir), os.fstat(errors.fileno()).st_size)
        if state != last:
            last, heard = state, now
        if state[0] > bounds.size_bytes or state[1] > _MOST_SAID_BYTES:
            raise MirrorTooLargeError(
                f"The repository needs more than {bounds.size_bytes / 1024**2:,.0f} MiB.",
                why="So much is kept of one remote repository, with its whole history, and no more.",
                next_step="Clone it on this machine (`git clone --depth 1`), and release that path.",
            )
        if process.returncode is not None:
            return
        if now - heard > bounds.silence_seconds:
            raise HostUnavailableError("The Git host hangs.", why=f"It sent nothing for {bounds.silence_seconds:g} s.")
        if now - began > bounds.seconds:
            raise HostUnavailableError(
                "The Git host is too slow.", why=f"The fetch did not end within {bounds.seconds:g} s."
            )
        pulse(_progress(errors, state[1]))


def _progress(errors: IO[bytes], size: int) -> str:
    """The last that Git itself said of how far it is: `Receiving objects:  45% (9/20)`."""
    tail = os.pread(errors.fileno(), 400, max(0, size - 400)).decode(errors="replace")
    found = re.findall(r"[\r\n]((?:Receiving|Resolving|Indexing)[^\r\n]{0,80})\r", tail)
    return found[-1] if found else ""


def _packed_bytes(git_dir: Path) -> int:
    total = 0
    with suppress(OSError):
        for entry in os.scandir(git_dir / "objects" / "pack"):
            with suppress(OSError):
                total += entry.stat().st_size
    return total


def _started(
    git_dir: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    output: IO[bytes] | int,
    errors: IO[bytes] | int,
    *,
    stdin: int = subprocess.DEVNULL,
    lock: int | None = None,
) -> subprocess.Popen[bytes]:
    # HOME is ours: curl would read a .netrc in it.
    own = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(git_dir), "GIT_DIR": str(git_dir)}
    try:
        return subprocess.Popen(
            ["git", *SWITCHED_OFF, *arguments],  # noqa: S607 - found by PATH, wherever the machine has it
            cwd=git_dir,
            env={**own, **ISOLATED, **environment},
            stdin=stdin,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
        )
    except FileNotFoundError:
        raise MirrorError(
            "The program git is not installed, or the mirror's directory is gone.",
            next_step="Install git (apt install git, brew install git), then release again.",
        ) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started, since Git leaves the network to a child."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _said(errors: IO[bytes]) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - 16_384))
    return errors.read(16_384).decode(errors="replace")
