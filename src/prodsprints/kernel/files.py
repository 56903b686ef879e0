"""Files that are whole or not there, in places that those who need them can reach."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write `content` to `path` by atomic rename, so that a reader sees the old or the new bytes, never a mixture.

    `durable` also flushes the file and its directory to disk before returning. Raises OSError (a full disk, say);
    the old content is then still in place.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if durable:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def closed_to_others(path: Path) -> Path | None:
    """The first of `path` and the directories above it that not everybody may pass; None if all of them are open."""
    return next((place for place in (path, *path.parents) if not place.stat().st_mode & 0o001), None)
