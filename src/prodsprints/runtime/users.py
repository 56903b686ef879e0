"""Users of their own for strangers' code, where we are root: one for each purpose, owning what that code may write."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

from prodsprints.kernel.files import closed_to_others
from prodsprints.kernel.settings import Settings
from prodsprints.runtime.errors import SandboxError

FIRST, _LAST = 61_000, 64_999


def unprivileged(purpose: str) -> int | None:
    """As root, the stable uid (also gid) reserved for `purpose` on this machine; None as an ordinary user.

    Uids need no passwd entry. Who has which is kept in `users/` below the home, so that no two purposes share one.
    """
    if os.geteuid() != 0:
        return None
    registry = Settings.from_environment().home / "users"
    registry.mkdir(parents=True, exist_ok=True, mode=0o755)
    size = _LAST - FIRST + 1
    first = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8]) % size
    for step in range(size):
        user = FIRST + (first + step) % size
        if _claim(registry / str(user), purpose):
            return user
    raise SandboxError(
        f"All {size} users for strangers' code are taken.",
        next_step=f"Remove files of projects that are gone from {registry}.",
    )


def give(path: Path, user: int | None) -> None:
    """Make `user` the owner of `path` and of everything below it; symbolic links are not followed."""
    if user is None:
        return
    os.chown(path, user, user, follow_symlinks=False)
    for _, directories, files, descriptor in os.fwalk(path, follow_symlinks=False):
        for name in (*directories, *files):
            os.chown(name, user, user, dir_fd=descriptor, follow_symlinks=False)


def reachable(path: Path, user: int | None) -> bool:
    """Whether `user` can enter every directory above `path` (always true for our own user)."""
    if user is None:
        return True
    return not any(map(closed_to_others, (path.parent, path.resolve().parent)))


def _claim(entry: Path, purpose: str) -> bool:
    """Whether `entry` belongs to `purpose`, taking it if it is free. A link appears whole or not at all."""
    with contextlib.suppress(FileNotFoundError):
        return entry.read_text() == purpose
    draft = entry.with_name(f".{entry.name}.{os.getpid()}.{time.monotonic_ns()}")
    draft.write_text(purpose)
    try:
        os.link(draft, entry)
    except FileExistsError:
        return entry.read_text() == purpose
    finally:
        draft.unlink()
    return True
