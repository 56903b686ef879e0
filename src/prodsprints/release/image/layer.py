"""A directory as a layer of bytes that depend on its content only, for the image's builder."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from prodsprints.release.image.errors import ImageError, UnsafeImageError
from prodsprints.release.image.layout import Sink

MAX_FILES = 200_000
MAX_BYTES = 8 * 1024**3

_LEFT_OUT = {"__pycache__", ".git"}


def pack(root: Path, prefix: str, sink: Sink, *, mtime: int) -> None:
    """Write `root` as a tar below `prefix`: sorted, owned by root, all of one time, modes 0755 and 0644 only.

    Byte code stays out. Raises UnsafeImageError for a link that leads out of `root` and for anything that is neither
    file, directory nor link.
    """
    files, size = 0, 0
    with tarfile.open(fileobj=cast(IO[bytes], sink), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for parent in [*reversed(PurePosixPath(prefix).parents), PurePosixPath(prefix)][1:]:
            archive.addfile(_member(str(parent), tarfile.DIRTYPE, 0o755, mtime))
        for entry, relative in _entries(root, PurePosixPath()):
            files += 1
            status = entry.stat(follow_symlinks=False)
            size += status.st_size
            if files > MAX_FILES or size > MAX_BYTES:
                raise ImageError(
                    f"A layer may hold {MAX_FILES} files and {MAX_BYTES // 1024**3} GiB; {prefix} has more.",
                    next_step="Remove what the application does not need at run time from the repository.",
                )
            name = f"{prefix}/{relative}"
            if stat.S_ISDIR(status.st_mode):
                archive.addfile(_member(name, tarfile.DIRTYPE, 0o755, mtime))
            elif stat.S_ISLNK(status.st_mode):
                member = _member(name, tarfile.SYMTYPE, 0o777, mtime)
                member.linkname = _inner_target(root, entry, relative)
                archive.addfile(member)
            elif stat.S_ISREG(status.st_mode):
                member = _member(name, tarfile.REGTYPE, 0o755 if status.st_mode & 0o111 else 0o644, mtime)
                with Path(entry.path).open("rb") as stream:
                    member.size = os.fstat(stream.fileno()).st_size
                    archive.addfile(member, stream)
            else:
                raise UnsafeImageError(
                    f"{relative} is neither a file, a directory nor a link.", next_step="Remove it from the repository."
                )


def _entries(directory: Path, below: PurePosixPath) -> Iterator[tuple[os.DirEntry[str], PurePosixPath]]:
    for entry in sorted(os.scandir(directory), key=lambda entry: os.fsencode(entry.name)):
        if entry.name in _LEFT_OUT or entry.name.endswith((".pyc", ".pyo")):
            continue
        relative = below / entry.name
        yield entry, relative
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), relative)


def _inner_target(root: Path, entry: os.DirEntry[str], relative: PurePosixPath) -> str:
    target = str(Path(entry.path).readlink())
    # Followed for real: by way of other links, a target without many `..` can still leave the directory.
    if target.startswith("/") or not Path(entry.path).resolve().is_relative_to(root.resolve()):
        raise UnsafeImageError(
            f"The link {relative} leads out of the directory, to {target[:200]}.",
            next_step="Make it relative and point it inside, or remove it.",
        )
    return target


def _member(name: str, kind: bytes, mode: int, mtime: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, mode, mtime
    return member
