"""Whether a mirror still holds a commit as its id says: every object of it is read, and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import IO

from prodsprints.controls.integrations.git_errors import DamagedMirrorError
from prodsprints.controls.integrations.git_process import reading

_SECONDS = 120.0
_CHUNK = 262_144
_MOST_TREE_BYTES = 16 * 1024**2
_MOST_OBJECTS = 500_000
_SUBMODULE = b"160000"
_TREE = b"40000"


def check(git_dir: Path, commit: str) -> None:
    """Read `commit`, its trees and its files, and compare each with its id. Raises DamagedMirrorError.

    Git itself trusts what it has stored once: of a flipped bit it notices what breaks the compression, no more.
    """
    with _reader(git_dir) as reader:
        header = reader.whole(commit, "commit")
        tree = header.partition(b"\n")[0].removeprefix(b"tree ").decode(errors="replace")
        seen = {tree}
        todo = [(tree, "tree")]
        while todo:
            oid, kind = todo.pop()
            if kind == "blob":
                reader.pass_over(oid)
                continue
            for mode, child in _entries(reader.whole(oid, "tree"), len(commit) // 2):
                if mode != _SUBMODULE and child not in seen:
                    seen.add(child)
                    todo.append((child, "tree" if mode == _TREE else "blob"))
            if len(seen) > _MOST_OBJECTS:
                return  # far beyond what a release takes; it is refused there, with its own words


class _Reader:
    def __init__(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def whole(self, oid: str, kind: str) -> bytes:
        """The content of a commit or tree."""
        chunks = list(self._chunks(oid, kind, _MOST_TREE_BYTES))
        return b"".join(chunks)

    def pass_over(self, oid: str) -> None:
        """Read a file's content, for its hash only."""
        for _ in self._chunks(oid, "blob", None):
            pass

    def _chunks(self, oid: str, kind: str, most: int | None) -> Iterator[bytes]:
        with suppress(BrokenPipeError):
            self._stdin.write(oid.encode() + b"\n")
            self._stdin.flush()
        header = self._stdout.readline(256).decode(errors="replace").split()
        if len(header) != 3 or header[:2] != [oid, kind] or not header[2].isdecimal():
            raise _damaged(oid, kind)
        left = int(header[2])
        if most is not None and left > most:
            raise _damaged(oid, kind)
        digest = hashlib.new("sha1" if len(oid) == 40 else "sha256", usedforsecurity=False)
        digest.update(f"{kind} {left}".encode() + b"\0")
        while left:
            chunk = self._stdout.read(min(left, _CHUNK))
            if not chunk:
                raise _damaged(oid, kind)
            left -= len(chunk)
            digest.update(chunk)
            yield chunk
        self._stdout.read(1)
        if digest.hexdigest() != oid:
            raise _damaged(oid, kind)


@contextmanager
def _reader(git_dir: Path) -> Iterator[_Reader]:
    process = reading(git_dir)
    timer = Timer(_SECONDS, process.kill)
    timer.start()
    try:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - opened with PIPE
        yield _Reader(process.stdin, process.stdout)
    finally:
        timer.cancel()
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        process.wait()


def _entries(tree: bytes, size: int) -> Iterator[tuple[bytes, str]]:
    """Mode and id of each entry; `size` is that of an id in bytes."""
    at = 0
    while at < len(tree):
        end = tree.find(b"\0", at)
        if end < 0 or end + 1 + size > len(tree):
            raise DamagedMirrorError("The mirror holds a tree that cannot be read.", next_step="Release again.")
        yield tree[at:end].partition(b" ")[0], tree[end + 1 : end + 1 + size].hex()
        at = end + 1 + size


def _damaged(oid: str, kind: str) -> DamagedMirrorError:
    return DamagedMirrorError(
        f"The mirror is damaged: the {kind} {oid[:12]} is missing, or is not what its id says.",
        next_step="Release again when the host answers: the mirror is fetched anew.",
    )
