"""What a commit's tree holds, and whether it may be written to a disk: for `source`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prodsprints.release import git
from prodsprints.release.errors import UnsafeTreeError

MAX_PATH_BYTES = 1_024
MAX_DEPTH = 64
MAX_LINK_BYTES = 4_096
_MAX_LINKS_FOLLOWED = 40  # the kernel's own limit; beyond it a link leads nowhere
_KINDS = {0o100000: "file", 0o120000: "link", 0o160000: "submodule"}


@dataclass(frozen=True)
class Entry:
    """One file, symbolic link or submodule of a tree; `target` is where a link points, empty for the others."""

    path: bytes
    mode: int
    oid: str
    size: int
    target: bytes = b""

    @property
    def name(self) -> str:
        """The path for people: one line, whatever bytes it has."""
        return self.path.decode(errors="backslashreplace").encode("unicode_escape").decode()

    @property
    def place(self) -> Path:
        """The path as the file system takes it."""
        return Path(os.fsdecode(self.path))

    @property
    def kind(self) -> str:
        return _KINDS.get(self.mode & 0o170000, "unknown")

    @property
    def is_link(self) -> bool:
        return self.kind == "link"

    @property
    def is_executable(self) -> bool:
        return bool(self.mode & 0o100)


def listed(repository: git.Repository, commit: str) -> Iterator[Entry]:
    """Every entry of the commit's tree, in the tree's order. Submodules have no size and count as empty."""
    for record in git.records(repository, "ls-tree", "-r", "-z", "-l", "--full-tree", commit):
        head, _, path = record.partition(b"\t")
        mode, _, oid, size = head.split()
        yield Entry(path, int(mode, 8), oid.decode(), int(size) if size.isdigit() else 0)


def with_targets(repository: git.Repository, entries: Sequence[Entry]) -> list[Entry]:
    """The entries again, each link with the target that it has."""
    if not any(entry.is_link for entry in entries):
        return list(entries)
    with git.objects(repository) as reader:
        return [_with_target(reader, entry) if entry.is_link else entry for entry in entries]


def check(entries: Sequence[Entry]) -> None:
    """Raise UnsafeTreeError, naming the entry, for bad names, submodules, and links that leave the tree."""
    links = {entry.path: entry.target for entry in entries if entry.is_link}
    for entry in entries:
        _check_name(entry, links)
        if entry.kind == "submodule":
            raise UnsafeTreeError(
                f"{entry.name} is a submodule, which is not fetched for a release.",
                next_step="Install it as a package, or commit its files (git rm --cached, then git add).",
            )
        if entry.kind == "unknown":
            raise UnsafeTreeError(
                f"{entry.name} has the unknown mode {entry.mode:o}.", next_step="Run `git fsck` and commit it anew."
            )
        if entry.is_link and _leaves(entry.path, links):
            raise UnsafeTreeError(
                f"{entry.name} is a symbolic link that points outside the repository, to "
                f"{entry.target.decode(errors='backslashreplace')[:200]!r}.",
                next_step="Replace it by the file itself, or point it inside the repository.",
            )


def _with_target(reader: git.Objects, entry: Entry) -> Entry:
    if entry.size > MAX_LINK_BYTES:
        raise UnsafeTreeError(
            f"{entry.name} is a symbolic link with a target of {entry.size} bytes.", next_step="Remove it and commit."
        )
    target = b"".join(reader.chunks(entry.oid, entry.size))
    return Entry(entry.path, entry.mode, entry.oid, entry.size, target)


def _check_name(entry: Entry, links: Mapping[bytes, bytes]) -> None:
    parts = entry.path.split(b"/")
    if len(entry.path) > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
        raise UnsafeTreeError(
            f"{entry.name[:120]}… has {len(entry.path)} bytes in {len(parts)} levels.",
            why=f"A path may have {MAX_PATH_BYTES} bytes and {MAX_DEPTH} levels.",
            next_step="Shorten or flatten it and commit.",
        )
    inside_link = bool(links) and any(b"/".join(parts[:depth]) in links for depth in range(1, len(parts)))
    if inside_link or any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts):
        raise UnsafeTreeError(
            f"{entry.name} is no name that Git itself would have committed.", next_step="Run `git fsck` in it."
        )


def _leaves(path: bytes, links: Mapping[bytes, bytes]) -> bool:
    """Whether following the link at `path` ever steps above the tree's root, by way of whatever other links."""
    here: list[bytes] = []
    todo = path.split(b"/")[::-1]
    followed = 0
    while todo:
        part = todo.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not here:
                return True
            here.pop()
            continue
        here.append(part)
        target = links.get(b"/".join(here))
        if target is None:
            continue
        followed += 1
        if followed > _MAX_LINKS_FOLLOWED:
            return False
        if target.startswith(b"/") or b"\0" in target or not target:
            return True
        here.pop()
        todo += target.split(b"/")[::-1]
    return False
