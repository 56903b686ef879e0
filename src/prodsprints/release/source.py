"""The commit that is released: found in a repository, and written out as plain files, whatever the repository holds."""

from __future__ import annotations

import heapq
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prodsprints.release import git
from prodsprints.release.errors import (
    DirtyTreeError,
    ExportError,
    NotARepositoryError,
    RepositoryTooLargeError,
    UnknownCommitError,
)
from prodsprints.release.tree import Entry, check, listed, with_targets
from prodsprints.release.worktree import changes

MAX_FILES = 50_000
MAX_TOTAL_BYTES = 512 * 1024**2
MAX_FILE_BYTES = 100 * 1024**2
_MAX_COMMIT_BYTES = 65_536
_NAMED_CHANGES = 5
_NAMED_FILES = 5
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,63}")  # it becomes a response header


@dataclass(frozen=True)
class Source:
    """One commit of one repository.

    `path` is the repository's top-level directory, `commit` the full object id, `label` what people call it: an exact
    tag if there is one, else the first twelve digits.
    """

    path: Path
    commit: str
    label: str
    commit_time: datetime


def resolve(path: Path, ref: str | None, *, called: str | None = None) -> Source:
    """The commit that `ref` names in the repository around `path`; without a ref, HEAD of a clean working tree.

    `called` is the name that somebody asked for, where `ref` is the commit's own id: its label, if it is a tag of it.

    Raises NotARepositoryError, UnknownCommitError, DirtyTreeError (only without a ref), RepositoryTooLargeError,
    UnsafeTreeError, GitError.
    """
    repository = git.find(path)
    commit = _commit(repository, ref)
    entries = _bounded(repository, commit)
    if ref is None and not repository.bare:
        _refuse_changes(repository, entries)
    return Source(repository.top, commit, _label(repository, commit, called or ref), _commit_time(repository, commit))


def export(source: Source, target: Path) -> None:
    """Write the commit's files below `target`, which must not exist yet or be empty. On failure nothing is left there.

    Attributes, filters and submodules have no say: what is written is the bytes that the commit holds.
    """
    repository = git.find(source.path)
    if repository.top != source.path:
        raise NotARepositoryError(
            f"{source.path} is no longer a Git repository.", next_step="Release again from where it is now."
        )
    entries = _bounded(repository, source.commit)
    _make_empty(target)
    try:
        _write(repository, entries, target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _commit(repository: git.Repository, ref: str | None) -> str:
    name = "HEAD" if ref is None else ref
    if name and "\0" not in name:
        answer = git.ask(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if answer.ok:
            return answer.output.decode().strip()
        if "not a git repository" in answer.error:
            raise NotARepositoryError(
                f"{repository.top} looks like a Git repository, but Git cannot read it.",
                why=answer.error,
                next_step="Run `git fsck` in it, or clone it again.",
            )
    if ref is None:
        raise UnknownCommitError(
            f"{repository.top} has no commit yet.",
            next_step=f"Run: git -C {repository.top} add -A && git -C {repository.top} commit -m 'First commit'",
        )
    shallow = (repository.git_dir / "shallow").is_file()
    raise UnknownCommitError(
        f"{repository.top} has no commit named {ref!r}.",
        why="The clone is shallow, so older commits are missing." if shallow else "",
        next_step="Run `git fetch --unshallow`, then try again."
        if shallow
        else "Look at `git log --oneline --all`; fetch or commit first if it is not there.",
    )


def _bounded(repository: git.Repository, commit: str) -> list[Entry]:
    """The commit's entries, checked and within the bounds; of a tree beyond them only the biggest files are kept."""
    entries: list[Entry] = []
    biggest: list[tuple[int, str]] = []
    count = total = 0
    for entry in listed(repository, commit):
        count += 1
        total += entry.size
        if count <= MAX_FILES:
            entries.append(entry)
        if entry.size > (biggest[0][0] if len(biggest) == _NAMED_FILES else 0):
            heapq.heappush(biggest, (entry.size, entry.name))
            biggest = heapq.nlargest(_NAMED_FILES, biggest)[::-1]
    largest = biggest[-1][0] if biggest else 0
    if count > MAX_FILES or total > MAX_TOTAL_BYTES or largest > MAX_FILE_BYTES:
        named = ", ".join(f"{name} ({_megabytes(size)})" for size, name in reversed(biggest))
        raise RepositoryTooLargeError(
            f"The commit holds {count} files of together {_megabytes(total)}; the biggest are {named}.",
            why=f"A release takes at most {MAX_FILES} files, {_megabytes(MAX_TOTAL_BYTES)} in all "
            f"and {_megabytes(MAX_FILE_BYTES)} each.",
            next_step="Move data and build output out of the commit (`git rm --cached`, then .gitignore), "
            "fetch them at start instead, and commit.",
        )
    entries = with_targets(repository, entries)
    check(entries)
    return entries


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.1f} MiB"


def _refuse_changes(repository: git.Repository, entries: list[Entry]) -> None:
    changed = changes(repository, entries, most=_NAMED_CHANGES + 1)
    if not changed:
        return
    more = " and more" if len(changed) > _NAMED_CHANGES else ""
    raise DirtyTreeError(
        f"The working tree has changes that are in no commit: {', '.join(changed[:_NAMED_CHANGES])}{more}.",
        why="A release is a commit; these changes would silently be missing.",
        next_step="Commit or stash them (or list them in .gitignore), or name the commit to release: --ref HEAD",
    )


def _label(repository: git.Repository, commit: str, ref: str | None) -> str:
    answer = git.ask(
        repository,
        "for-each-ref",
        "--sort=-version:refname",
        "--count=50",
        f"--points-at={commit}",
        "--format=%(refname:strip=2)",
        "refs/tags",
    )
    tags = [tag for tag in answer.output.decode(errors="replace").splitlines() if _LABEL.fullmatch(tag)]
    if ref in tags:
        return ref
    return tags[0] if tags else commit[:12]


def _commit_time(repository: git.Repository, commit: str) -> datetime:
    with git.objects(repository) as reader:
        header = reader.whole(commit, kind="commit", most_bytes=_MAX_COMMIT_BYTES).partition(b"\n\n")[0]
    found = re.search(rb"^committer .*> (\d{1,12}) [+-]\d{4}$", header, re.MULTILINE)
    try:
        return datetime.fromtimestamp(int(found[1]) if found else 0, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _make_empty(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        occupied = any(target.iterdir())
    except OSError as error:
        raise ExportError(
            f"{target} cannot be made: {error.strerror}.", next_step="Check the disk and its permissions."
        ) from None
    if occupied:
        raise ExportError(f"{target} is not empty.", next_step="Export to a new directory.")


def _write(repository: git.Repository, entries: list[Entry], target: Path) -> None:
    made = {target}
    entry: Entry | None = None
    try:
        with git.objects(repository) as reader:
            for entry in entries:
                path = target / entry.place
                _make_parents(path.parent, made)
                _write_one(reader, entry, path)
    except FileExistsError as error:
        raise ExportError(
            f"{os.fsdecode(error.filename)!r} stands in the commit twice, as this disk sees names.",
            why="Two names differ only in case or in the form of their Unicode letters.",
            next_step="Rename one of them and commit.",
        ) from None
    except OSError as error:
        raise ExportError(
            f"{entry.name if entry else target} could not be written: {error.strerror}.",
            next_step="Free space on the disk, or rename the file if its name is the reason; then try again.",
        ) from None


def _make_parents(directory: Path, made: set[Path]) -> None:
    """Make each directory anew, so that no entry can be written through a link or file that an earlier one left."""
    if directory in made:
        return
    _make_parents(directory.parent, made)
    directory.mkdir(0o755)
    made.add(directory)


def _write_one(reader: git.Objects, entry: Entry, path: Path) -> None:
    if entry.is_link:
        path.symlink_to(os.fsdecode(entry.target))
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        for chunk in reader.chunks(entry.oid, entry.size):
            stream.write(chunk)
        os.fchmod(stream.fileno(), 0o755 if entry.is_executable else 0o644)
