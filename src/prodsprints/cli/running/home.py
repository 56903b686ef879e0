"""The directory that holds all data: made, checked, and locked by the one platform that runs on it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path
from types import TracebackType

from prodsprints.cli.errors import AlreadyRunningError, HomeUnusableError
from prodsprints.cli.platform import address_file
from prodsprints.kernel import files
from prodsprints.kernel.settings import Settings

_NEEDED_AT_FIRST_BYTES = 300 * 1024**2
_NEEDED_TO_GO_ON_BYTES = 32 * 1024**2  # what served must come back on a disk that is nearly full
_ELSEWHERE = "or set PRODSPRINTS_HOME to another directory"


class HomeLock:
    """Held by a running `prodsprints up`; the kernel lets it go when that process ends, however it ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._descriptor = -1

    def __enter__(self) -> HomeLock:
        self._descriptor = os.open(
            self._settings.home / "run" / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise self._taken() from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        address_file(self._settings).unlink(missing_ok=True)
        os.close(self._descriptor)

    def publish(self, address: str) -> None:
        """Note where the pages are, for every other command on this machine."""
        files.replace(address_file(self._settings), f"{address}\n".encode(), mode=0o644)

    def _taken(self) -> AlreadyRunningError:
        try:
            where = f"Its pages are at {address_file(self._settings).read_text().strip()}."
        except OSError:
            where = "It is still starting."
        return AlreadyRunningError(
            f"ProdSprints runs already on {self._settings.home}.",
            why=where,
            next_step=f"Use that one; stop it with Ctrl-C in its terminal, {_ELSEWHERE}.",
        )


def prepare(settings: Settings) -> None:
    """Have the home and its directories, with room to work in. Raises HomeUnusableError with what to do."""
    home = settings.home
    root = os.geteuid() == 0
    try:
        # As root PostgreSQL and the applications run as users of their own, who must be able to pass through.
        for directory, mode in ((home, 0o711 if root else 0o700), (home / "run", 0o700), (home / "logs", 0o700)):
            directory.mkdir(parents=True, exist_ok=True, mode=mode)
        files.replace(home / "run" / "probe", b"x" * 4096)
        (home / "run" / "probe").unlink()
    except OSError as error:
        raise _unusable(home, error) from None
    if root:
        _refuse_closed_parent(home)
    free = shutil.disk_usage(home).free
    needed = _NEEDED_TO_GO_ON_BYTES if (home / "nodes").exists() else _NEEDED_AT_FIRST_BYTES
    if free < needed:
        raise HomeUnusableError(
            f"The disk below {home} has {free // 1024**2} MB left.",
            why=f"PostgreSQL, images and logs need at least {needed // 1024**2} MB.",
            next_step=f"Make room, {_ELSEWHERE}.",
        )


def _unusable(home: Path, error: OSError) -> HomeUnusableError:
    reasons = {
        errno.EACCES: "You may not write there.",
        errno.EPERM: "You may not write there.",
        errno.EROFS: "That file system is read-only.",
        errno.ENOSPC: "The disk is full.",
        errno.EDQUOT: "Your quota is used up.",
        errno.ENOTDIR: "A part of that path is a file.",
        errno.EEXIST: "A part of that path is a file.",
    }
    return HomeUnusableError(
        f"{home} cannot hold our data.",
        why=reasons.get(error.errno or 0, f"{error.strerror}."),
        next_step=f"Change that, {_ELSEWHERE}.",
    )


def _refuse_closed_parent(home: Path) -> None:
    closed = files.closed_to_others(home)
    if closed is not None:
        raise HomeUnusableError(
            f"Only its owner may pass {closed}.",
            why="Run by root, PostgreSQL and the applications have users of their own, who could not reach it.",
            next_step=f"Allow it (chmod o+x {closed}), {_ELSEWHERE}, such as /var/lib/prodsprints.",
        )
