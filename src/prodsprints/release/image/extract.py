"""A layer's bytes as files below one directory, and nowhere else, whatever the bytes say."""

from __future__ import annotations

import errno
import os
import struct
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from prodsprints.release.image.errors import NoSpaceError, UnsafeImageError
from prodsprints.release.image.layer import MAX_BYTES, MAX_FILES

_CHUNK_BYTES = 1024**2
_MAX_READ_BYTES = 16 * 1024**2
_MAX_NAME_BYTES = 4096
_MAX_DEPTH = 128
_PLAIN = {tarfile.REGTYPE, tarfile.AREGTYPE}


def extract(stream: BinaryIO, target: Path) -> None:
    """Write the tar in `stream` into the new directory `target`: files 0444 or 0555, directories 0755, owned by us.

    Raises UnsafeImageError for names and links that lead out, devices, hard links, setuid bits, doubled names and
    exceeded bounds; `target` may then hold a part and is the caller's to remove. Raises NoSpaceError.
    """
    try:
        with tarfile.open(fileobj=cast(IO[bytes], _Bounded(stream)), mode="r:") as archive:
            _Extraction(target).run(archive)
        refuse_escaping_links(target)
    except (tarfile.TarError, struct.error, ValueError, OverflowError, EOFError, RecursionError):
        raise _unsafe("It is no tar archive that can be read.") from None
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpaceError(f"No space is left below {target.parent}.", next_step="Free some space there.") from None
        raise _unsafe(f"It holds an entry that cannot be written: {error.strerror}.") from None


def refuse_escaping_links(root: Path) -> None:
    """Raise UnsafeImageError if any symbolic link below `root`, followed for real, leaves it."""
    real = root.resolve()
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            if path.is_symlink():
                target = os.fspath(path.readlink())
                # realpath() ends a loop somewhere inside, and leaves what does not exist as it is written.
                if target.startswith("/") or not Path(os.path.realpath(path)).is_relative_to(real):
                    raise _unsafe(f"The link {path.relative_to(root)} leads out of it, to {target[:200]!r}.")


class _Extraction:
    def __init__(self, target: Path) -> None:
        self.target = target
        self.directories = {PurePosixPath()}
        self.links: dict[PurePosixPath, str] = {}
        self.bytes_left = MAX_BYTES

    def run(self, archive: tarfile.TarFile) -> None:
        self.target.mkdir(mode=0o755)
        for count, member in enumerate(archive):
            if count >= MAX_FILES:
                raise _unsafe(f"It has more than {MAX_FILES} entries.")
            self._one(archive, member)
        for path, target in self.links.items():  # last, so that nothing is ever written through one
            self._parents(path)
            (self.target / path).symlink_to(target)

    def _one(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = _checked_name(member.name)
        if member.mode & 0o7000:
            raise _unsafe(f"{path} has a setuid, setgid or sticky bit.")
        if member.isdir():
            self._parents(path / "x")
            return
        if path in self.links or path in self.directories:
            raise _unsafe(f"{path} stands in it twice.")
        if member.issym():
            if member.linkname.startswith("/") or not member.linkname:
                raise _unsafe(f"The link {path} has the target {member.linkname[:200]!r}.")
            self.links[path] = member.linkname
        elif member.type in _PLAIN and not member.issparse():
            self._parents(path)
            self._file(archive, member, path)
        else:
            raise _unsafe(f"{path} is neither a plain file, a directory nor a symbolic link.")

    def _parents(self, path: PurePosixPath) -> None:
        """Make each missing directory above `path` anew: where something else stands already, making it fails."""
        for parent in reversed(path.parents):
            if parent in self.directories:
                continue
            if parent in self.links:
                raise _unsafe(f"{path} would be written through the link {parent}.")
            (self.target / parent).mkdir(mode=0o755)
            self.directories.add(parent)

    def _file(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: PurePosixPath) -> None:
        self.bytes_left -= member.size
        if self.bytes_left < 0:
            raise _unsafe(f"It unpacks to more than {MAX_BYTES // 1024**3} GiB.")
        source = archive.extractfile(member)
        if source is None:
            raise _unsafe(f"{path} has no content.")
        mode = 0o555 if member.mode & 0o111 else 0o444
        descriptor = os.open(self.target / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            while chunk := source.read(_CHUNK_BYTES):
                stream.write(chunk)
            os.fchmod(stream.fileno(), mode)
            os.utime(stream.fileno(), (member.mtime, member.mtime))


def _checked_name(name: str) -> PurePosixPath:
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or ".." in parts or "" in parts or "\0" in name:
        raise _unsafe(f"It holds the name {name[:200]!r}.")
    if len(os.fsencode(name)) > _MAX_NAME_BYTES or len(parts) > _MAX_DEPTH:
        raise _unsafe(f"The name {name[:100]!r}… is too long or too deep.")
    if any(part.startswith(".wh.") for part in parts):
        raise _unsafe(f"It deletes files of other layers ({name[:200]!r}), which our builder never does.")
    return PurePosixPath(*parts)


def _unsafe(why: str) -> UnsafeImageError:
    return UnsafeImageError(
        "The image has a layer that is not unpacked.", why=why, next_step="Build the image again from its commit."
    )


class _Bounded:
    """A stream that refuses to put into memory at once what a header merely claims to be large."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek = stream.seek
        self.tell = stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ_BYTES:
            raise _unsafe("A header of it is larger than any real one.")
        return self._stream.read(size)
