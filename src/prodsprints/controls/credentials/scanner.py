"""The scanning process itself, started by `scan.py`: one JSON object per line; the secrets themselves stay in here."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class as detectors
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

_MAX_FILE_BYTES = 1024**2
_MAX_FILES = 100_000
_MAX_FILE_SECONDS = 20.0
_MAX_PER_FILE = 50
_HEAD_BYTES = 8192

_NOISE = {"IPPublicDetector"}  # an address is no secret
_LEFT_OUT = {".git", "node_modules", "__pycache__", ".venv"}


class _TooSlowError(Exception):
    """One file took longer than its share."""


def main(root: Path) -> None:
    """Scan every text file below `root`."""
    kinds: dict[str, type] = detectors()
    names = [kind.__name__ for kind in kinds.values()]
    plugins = [{"name": name} for name in names if name not in _NOISE]
    signal.signal(signal.SIGALRM, _too_slow)
    count = 0
    # The library asks the providers only where its verification filter is configured; here it is not.
    with transient_settings({"plugins_used": plugins}):
        for path in _files(root):
            count += 1
            name = str(path.relative_to(root))
            reason = _unreadable(path) if count <= _MAX_FILES else f"more than {_MAX_FILES} files"
            if reason is None:
                reason = _scan(path, name)
            if reason:
                _say({"file": name, "skipped": reason})
    _say({"files": count})


def _files(root: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _LEFT_OUT)
        for name in sorted(files):
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _unreadable(path: Path) -> str | None:
    """Why `path` is not scanned; "" for binary files, which is nothing to speak of, and None if it is."""
    if path.stat().st_size > _MAX_FILE_BYTES:
        return f"larger than {_MAX_FILE_BYTES // 1024} KiB"
    content = path.read_bytes()
    if b"\0" in content[:_HEAD_BYTES]:
        return ""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "not UTF-8"
    return None


def _scan(path: Path, name: str) -> str:
    signal.setitimer(signal.ITIMER_REAL, _MAX_FILE_SECONDS)
    try:
        for count, found in enumerate(scan_file(str(path))):
            if count == _MAX_PER_FILE:
                return f"more than {_MAX_PER_FILE} findings; the rest of it was left out"
            example = str(found.secret_value or "").endswith("EXAMPLE")  # as in Amazon's own documentation
            _say({"file": name, "line": found.line_number, "kind": found.type, "example": example})
    except _TooSlowError:
        return f"not done after {_MAX_FILE_SECONDS:.0f} s"
    except Exception as error:  # whatever a parser of the library trips over is the trouble of this one file
        return f"the scanner failed on it ({type(error).__name__})"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return ""


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise _TooSlowError


def _say(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
