"""The kept output of an instance, by absolute offset, for whoever follows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_MOST_BYTES = 256 * 1024


def read(directory: Path, offset: int, limit: int) -> dict[str, Any]:
    """Up to `limit` bytes from `offset`, in whole lines: `offset` (where the text really begins), `next`, `text`.

    The shim names each file after the offset of its first byte. What was rotated away is skipped, and a negative
    offset counts from the end.
    """
    limit = max(1, min(limit, _MOST_BYTES))
    try:
        return _read(directory, offset, limit)
    except FileNotFoundError:  # rotated away just now; the next file is there already
        return _read(directory, offset, limit)


def _read(directory: Path, offset: int, limit: int) -> dict[str, Any]:
    files = sorted((int(path.stem), path) for path in directory.glob("*.log")) if directory.is_dir() else []
    if not files:
        return {"offset": 0, "next": 0, "text": ""}
    end = files[-1][0] + files[-1][1].stat().st_size
    begin = max(files[0][0], end + offset) if offset < 0 else min(max(offset, files[0][0]), end)
    taken = b""
    for start, path in files:
        if len(taken) < limit and begin + len(taken) < start + path.stat().st_size:
            with path.open("rb") as stream:
                stream.seek(begin + len(taken) - start)
                taken += stream.read(limit - len(taken))
    if offset < 0 and begin > files[0][0]:
        begin, taken = begin + taken.find(b"\n") + 1, taken[taken.find(b"\n") + 1 :]
    whole = taken[: taken.rfind(b"\n") + 1]
    if not whole and len(taken) == limit:  # one line longer than the limit: better in parts than never
        whole = taken
    return {"offset": begin, "next": begin + len(whole), "text": whole.decode("utf-8", "replace")}
