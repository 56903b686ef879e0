"""What pip wrote, freed of traces of the machine it ran on, so that equal packages give equal layers."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import stat
from pathlib import Path

from prodsprints.release.image.errors import InstallError, UnsafeImageError

_SHEBANG = b"#!/usr/bin/env python3\n"
# distlib writes the second form when the interpreter's path is too long, or has spaces, for a shebang.
_SHEBANGS = re.compile(rb"\A(?:#!/bin/sh\n'''exec' [^\n]*\n' '''\n|#![^\n]*python[^\n]*\n)")
_TRACES = {"direct_url.json", "INSTALLER", "REQUESTED"}
_MAX_FILES = 200_000


def normalise(target: Path, result: Path) -> None:
    """Move the packages in `target` to `result/site-packages` and their scripts to `result/bin`.

    Byte code, URLs and paths of this machine go, modes become 0755 and 0644, and every RECORD lists what is left.
    """
    result.mkdir()
    if (target / "bin").is_symlink():
        raise _refused("bin")
    (target / "bin").mkdir(exist_ok=True)
    (target / "bin").rename(result / "bin")
    target.rename(result / "site-packages")
    _clean(result)
    for script in (result / "bin").iterdir():
        if script.is_file() and not script.is_symlink():
            content = script.read_bytes()
            script.write_bytes(_SHEBANGS.sub(_SHEBANG, content, count=1))
    for record in sorted((result / "site-packages").glob("*.dist-info/RECORD")):
        _rewrite(record)


def _clean(root: Path) -> None:
    count = 0
    for directory, names, files in os.walk(root):
        for name in [name for name in names if name == "__pycache__"]:
            names.remove(name)
            _remove(Path(directory, name))
        for name in (*names, *files):
            path = Path(directory, name)
            count += 1
            if count > _MAX_FILES:
                raise InstallError(f"The dependencies have more than {_MAX_FILES} files.", next_step="Depend on less.")
            mode = path.lstat().st_mode
            trace = path.name in _TRACES and path.parent.suffix == ".dist-info"
            if trace or path.suffix in {".pyc", ".pyo"}:
                _remove(path)
            elif stat.S_ISDIR(mode):
                path.chmod(0o755)
            elif stat.S_ISREG(mode) and path.lstat().st_nlink == 1:
                path.chmod(0o755 if mode & 0o111 else 0o644)
            elif not stat.S_ISLNK(mode):
                raise _refused(path.name)
    root.chmod(0o755)
    for name in ("bin", "site-packages"):
        (root / name).chmod(0o755)


def _refused(name: str) -> UnsafeImageError:
    return UnsafeImageError(
        f"A dependency installed {name} as something other than a plain file or directory.",
        next_step="Find out which package does that, and do not depend on it.",
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _rewrite(record: Path) -> None:
    if record.is_symlink() or record.parent.is_symlink():
        raise _refused(record.parent.name)
    root = record.parent.parent
    rows = csv.reader(io.StringIO(record.read_text("utf-8", "replace"), newline=""))
    kept = sorted(row for row in rows if row and ".." not in Path(row[0]).parts and (root / row[0]).is_file())
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(kept)
    record.write_text(text.getvalue(), "utf-8")
