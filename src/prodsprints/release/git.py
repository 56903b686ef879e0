"""Git, asked so that a hostile repository's configuration cannot run code: for `source` and `worktree`.

Only plumbing that reads objects, refs and the index is called, never one that applies attributes (filters, textconv,
export-subst), signs, talks to a remote or writes. The repository is named by GIT_DIR instead of being discovered, so
that root may read an ordinary user's repository: Git's `safe.directory` check guards against configuration that runs
programs, and every such setting within reach of these commands is switched off in `SWITCHED_OFF` and `_environment`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO

from prodsprints.controls.integrations.git_process import ISOLATED, SWITCHED_OFF
from prodsprints.release.errors import GitError, NotARepositoryError

TIMEOUT_SECONDS = 60.0
_MAX_ANSWER_BYTES = 1_048_576
_MAX_RECORD_BYTES = 65_536


@dataclass(frozen=True)
class Repository:
    """Where a repository is: `top` holds the files (or, for a bare one, the repository itself), `git_dir` the rest."""

    top: Path
    git_dir: Path
    bare: bool


@dataclass(frozen=True)
class Answer:
    """What Git said, and whether it succeeded."""

    ok: bool
    output: bytes
    error: str


def find(path: Path) -> Repository:
    """The repository that `path` is in. Raises NotARepositoryError when there is none that we may read."""
    path = path.expanduser().absolute()
    if not path.exists():
        raise NotARepositoryError(f"{path} does not exist.", next_step="Give the path of a Git repository.")
    start = path.resolve() if path.is_dir() else path.resolve().parent
    for directory in (start, *start.parents):
        if (directory / ".git").exists():
            repository = Repository(directory, directory / ".git", bare=False)
            _check_owner(repository)
            return repository
        if (directory / "HEAD").is_file() and (directory / "objects").is_dir() and (directory / "refs").is_dir():
            return Repository(directory, directory, bare=True)
    raise NotARepositoryError(
        f"{path} is not in a Git repository.",
        why="What is released is always a commit.",
        next_step=f"Run: git -C {path} init && git -C {path} add -A && git -C {path} commit -m 'First commit'",
    )


def ask(repository: Repository, *arguments: str) -> Answer:
    """Run one plumbing command and return its bounded answer."""
    with _started(repository, arguments, stdin=subprocess.DEVNULL) as (process, errors):
        output = _stdout(process).read(_MAX_ANSWER_BYTES + 1)
        if len(output) > _MAX_ANSWER_BYTES:
            raise GitError(
                f"git {arguments[0]} answered with more than {_MAX_ANSWER_BYTES} bytes.",
                next_step=f"Look at what `git -C {repository.top} {arguments[0]}` prints; nothing was released.",
            )
        return Answer(process.wait() == 0, output, _text(errors))


def records(repository: Repository, *arguments: str) -> Iterator[bytes]:
    """Run one plumbing command with NUL-terminated output, and yield its records as they come."""
    with _started(repository, arguments, stdin=subprocess.DEVNULL) as (process, errors):
        rest = b""
        while chunk := _stdout(process).read(65_536):
            *whole, rest = (rest + chunk).split(b"\0")
            yield from whole
            if len(rest) > _MAX_RECORD_BYTES:
                raise GitError(
                    f"git {arguments[0]} printed a path longer than {_MAX_RECORD_BYTES} bytes.",
                    next_step="Run `git fsck` in the repository.",
                )
        if process.wait() != 0:
            raise unreadable(repository, _text(errors))


@contextmanager
def objects(repository: Repository) -> Iterator[Objects]:
    """A reader of the repository's objects, one Git process for all of them."""
    with _started(repository, ("cat-file", "--batch"), stdin=subprocess.PIPE) as (process, errors):
        yield Objects(repository, process, errors)


class Objects:
    """Reads objects by their id, whole ones in memory and large ones in chunks."""

    def __init__(self, repository: Repository, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._repository = repository
        self._process = process
        self._errors = errors

    def chunks(self, oid: str, size: int, *, kind: str = "blob") -> Iterator[bytes]:
        """The content of `oid`, which must be a `kind` of `size` bytes. To be read to its end."""
        stdout = _stdout(self._process)
        found, left = self._header(oid)
        if found != kind or left != size:
            raise unreadable(self._repository, f"object {oid} is a {found} of {left} bytes, not a {kind} of {size}")
        while left:
            chunk = stdout.read(min(left, 262_144))
            if not chunk:
                raise unreadable(self._repository, _text(self._errors))
            left -= len(chunk)
            yield chunk
        stdout.read(1)

    def whole(self, oid: str, *, kind: str, most_bytes: int) -> bytes:
        """The content of `oid`, cut after `most_bytes`; the reader is of no use afterwards if it was longer."""
        found, size = self._header(oid)
        if found != kind:
            raise unreadable(self._repository, f"object {oid} is a {found}, not a {kind}")
        content = _stdout(self._process).read(min(size, most_bytes))
        if size <= most_bytes:
            _stdout(self._process).read(1)
        return content

    def _header(self, oid: str) -> tuple[str, int]:
        stdin, stdout = self._process.stdin, _stdout(self._process)
        assert stdin is not None  # noqa: S101 - opened with PIPE
        try:
            stdin.write(oid.encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise unreadable(self._repository, _text(self._errors)) from None
        header = stdout.readline(256).decode(errors="replace").split()
        if len(header) != 3 or not header[2].isdecimal():
            raise unreadable(self._repository, " ".join(header) or _text(self._errors))
        return header[1], int(header[2])


def unreadable(repository: Repository, detail: str) -> GitError:
    """The error for a repository whose objects cannot be read."""
    return GitError(
        f"Git cannot read {repository.top}: {detail.strip()[:300] or 'it stopped without a word'}.",
        why="Objects are missing (a partial or interrupted clone) or damaged; missing ones are never fetched here.",
        next_step="Run `git fsck` in it, or clone it again without --filter.",
    )


def _check_owner(repository: Repository) -> None:
    """As root, refuse a `.git` that borrows another user's objects: releasing them would publish what is theirs."""
    if os.geteuid() != 0:
        return
    owner = repository.top.stat().st_uid
    answer = ask(repository, "rev-parse", "--git-dir", "--git-common-dir", "--git-path", "objects")
    if not answer.ok:
        raise NotARepositoryError(
            f"{repository.top} is no readable Git repository: {answer.error}.", next_step="Run `git fsck` in it."
        )
    places = [Path(os.fsdecode(line)) for line in answer.output.splitlines()]
    alternates = places[-1] / "info" / "alternates"
    if alternates.is_file():
        with alternates.open("rb") as stream:
            places += [places[-1] / os.fsdecode(line) for line in stream.read(_MAX_RECORD_BYTES).splitlines()]
    for place in (repository.top / place for place in places):
        inside = place.resolve().is_relative_to(repository.top)
        if not inside and place.exists() and place.stat().st_uid != owner:
            raise NotARepositoryError(
                f"{repository.top} takes its objects from {place.resolve()}, which belongs to another user.",
                next_step="Clone the repository without --shared and --reference, then release the clone.",
            )


@contextmanager
def _started(
    repository: Repository, arguments: tuple[str, ...], *, stdin: int
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                ["git", *SWITCHED_OFF, *arguments],  # noqa: S607 - found by PATH, wherever the machine has it
                cwd=repository.top,
                env=_environment(repository),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise GitError(
                "The program git is not installed.", next_step="Install git (apt install git, brew install git)."
            ) from None
        except OSError as error:
            raise NotARepositoryError(
                f"{repository.top} cannot be entered: {error.strerror}.",
                next_step="Run as a user who may read the repository.",
            ) from None
        timer = Timer(TIMEOUT_SECONDS, process.kill)
        timer.start()
        try:
            yield process, errors
        finally:
            expired = not timer.is_alive()
            timer.cancel()
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):  # what was still buffered for a process that is gone
                        stream.close()
            process.wait()
            if expired:
                raise GitError(
                    f"git {arguments[0]} did not end within {TIMEOUT_SECONDS:g} seconds.",
                    next_step="Check the disk that the repository is on, then try again.",
                )


def _environment(repository: Repository) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CONFIG_HOME") if name in os.environ}
    worktree = {} if repository.bare else {"GIT_WORK_TREE": str(repository.top)}
    return {
        **inherited,
        **worktree,
        **ISOLATED,
        "GIT_DIR": str(repository.git_dir),
        "GIT_ALLOW_PROTOCOL": "none",  # overrides the repository's own protocol.*.allow: a lazy fetch cannot start
    }


def _stdout(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None  # noqa: S101 - opened with PIPE
    return process.stdout


def _text(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read(2_048).decode(errors="replace").strip().removeprefix("fatal: ")
