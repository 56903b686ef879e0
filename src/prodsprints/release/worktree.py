"""What a working tree holds that its commit does not, found without letting Git touch a file: for `source`.

`git status` would run the clean filters that a repository's own configuration names, and `diff-files` does for files
written in the same second as the index. So the index is listed by Git and the files are hashed here.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from prodsprints.release import git
from prodsprints.release.tree import Entry

_MAX_NORMALISED_BYTES = 16 * 1024**2
_LFS_POINTER_BYTES = 1_024
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"


def changes(repository: git.Repository, entries: Sequence[Entry], *, most: int) -> list[str]:
    """Up to `most` descriptions of what differs from the commit's entries: `app.py (modified)`, `x.py (untracked)`."""
    return list(islice(_changes(repository, entries), most))


def _changes(repository: git.Repository, entries: Sequence[Entry]) -> Iterator[str]:
    committed = {entry.path: entry for entry in entries}
    indexed: set[bytes] = set()
    with git.objects(repository) as reader:
        for record in git.records(repository, "ls-files", "-z", "-v", "--stage"):
            head, _, path = record.partition(b"\t")
            tag, mode, oid, stage = head.decode().split()
            indexed.add(path)
            entry = committed.get(path)
            if entry is None or entry.oid != oid or entry.mode != int(mode, 8) or stage != "0":
                yield f"{Entry(path, 0, oid, 0).name} (staged)"
            elif tag == "H" and (word := _difference(repository, reader, entry)):
                yield f"{entry.name} ({word})"
    for path, entry in committed.items():
        if path not in indexed:
            yield f"{entry.name} (staged as deleted)"
    excludes = _personal_excludes()
    for path in git.records(repository, *excludes, "ls-files", "-z", "--others", "--exclude-standard"):
        yield f"{Entry(path, 0, '', 0).name} (untracked)"


def _difference(repository: git.Repository, reader: git.Objects, entry: Entry) -> str:
    """In one word how the file differs from its entry, empty if it does not."""
    path = repository.top / entry.place
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "deleted"
    if entry.kind == "submodule":
        return ""
    if entry.is_link:
        same = stat.S_ISLNK(found.st_mode) and os.fsencode(path.readlink()) == entry.target
        return "" if same else "modified"
    if not stat.S_ISREG(found.st_mode):
        return "modified"
    try:
        same = _holds(path, found.st_size, reader, entry)
    except OSError:
        return "unreadable"
    return "" if same else "modified"


def _holds(path: Path, size: int, reader: git.Objects, entry: Entry) -> bool:
    if size == entry.size:
        return _object_id(path, size, entry.oid) == entry.oid
    if entry.size <= _LFS_POINTER_BYTES:
        pointer = b"".join(reader.chunks(entry.oid, entry.size))
        if pointer.startswith(_LFS_POINTER):
            return _sha256(path) in pointer.decode(errors="replace")
    if entry.size < size <= _MAX_NORMALISED_BYTES:  # perhaps checked out with CRLF line ends
        content = _read(path).replace(b"\r\n", b"\n")
        return len(content) == entry.size and content == b"".join(reader.chunks(entry.oid, entry.size))
    return False


def _object_id(path: Path, size: int, like: str) -> str:
    digest = hashlib.new("sha1" if len(like) == 40 else "sha256", usedforsecurity=False)
    digest.update(b"blob %d\0" % size)
    with path.open("rb") as stream:
        while chunk := stream.read(262_144):
            digest.update(chunk)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MAX_NORMALISED_BYTES)


def _personal_excludes() -> tuple[str, ...]:
    """The user's own global ignore file, as an option: it is theirs, not the repository's, and only data."""
    try:
        answer = subprocess.run(
            ["git", "config", "--global", "--type=path", "core.excludesFile"],  # noqa: S607 - found by PATH, as in git.py
            cwd="/",
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    path = os.fsdecode(answer.stdout).strip()
    return ("-c", f"core.excludesFile={path}") if answer.returncode == 0 and path else ()
