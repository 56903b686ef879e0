"""An OCI image layout on disk: blobs by their digest, an index, and nothing half-written, for builder and unpacker."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from prodsprints.kernel import files
from prodsprints.release.image.errors import ImageError, NoSpaceError, UnsafeImageError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
# Not compressed: zlib's output differs between its versions, and then so would the digest of equal inputs.
LAYER = "application/vnd.oci.image.layer.v1.tar"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_DOCUMENT_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class Descriptor:
    """A blob as OCI documents name it."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The JSON object of the image specification."""
        plain = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return plain | ({"annotations": self.annotations} if self.annotations else {})


class Sink(Protocol):
    """Where a blob's bytes are written to."""

    def write(self, data: bytes, /) -> int: ...


class Layout:
    """The image layout in directory `path`, made when the first blob is added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blobs = path / "blobs" / "sha256"

    def blob(self, digest: str) -> Path:
        """The file of a blob. Raises UnsafeImageError for what is no sha256 digest."""
        return self._blobs / hex_of(digest)

    def add(self, media_type: str, write: Callable[[Sink], None]) -> Descriptor:
        """Store what `write` writes; the blob appears under its digest whole, or not at all."""
        with enough_space(self.path):
            self._blobs.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=self._blobs, prefix=".")
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    os.fchmod(stream.fileno(), 0o644)
                    hashing = _Hashing(stream)
                    write(hashing)
                    stream.flush()
                    os.fsync(stream.fileno())
                digest = f"sha256:{hashing.sha256.hexdigest()}"
                Path(draft).replace(self.blob(digest))
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
        return Descriptor(media_type, digest, hashing.size)

    def add_document(self, media_type: str, value: object) -> Descriptor:
        """Store `value` as canonical JSON."""
        content = canonical(value)
        return self.add(media_type, lambda sink: (sink.write(content), None)[1])

    def document(self, digest: str) -> dict[str, Any]:
        """A JSON blob, after checking its digest. Raises UnsafeImageError when it is not what the digest says."""
        path = self.blob(digest)
        try:
            if path.stat().st_size > _MAX_DOCUMENT_BYTES:
                raise UnsafeImageError(f"{digest} is too large for a document.", next_step="Build the image again.")
            content = path.read_bytes()
        except FileNotFoundError:
            raise missing(digest) from None
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise tampered(digest)
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise UnsafeImageError(f"{digest} is no JSON object.", next_step="Build the image again.")
        return value

    def register(self, manifest: Descriptor) -> None:
        """List `manifest` in the index, once."""
        with enough_space(self.path), locked(self.path / ".index.lock"):
            files.replace(self.path / "oci-layout", canonical({"imageLayoutVersion": "1.0.0"}), mode=0o644)
            index = self.path / "index.json"
            listed = json.loads(index.read_bytes())["manifests"] if index.exists() else []
            others = [entry for entry in listed if entry["digest"] != manifest.digest]
            content = {"schemaVersion": 2, "manifests": [*others, manifest.document()]}
            files.replace(index, canonical(content), mode=0o644)


def hex_of(digest: str) -> str:
    """The 64 hexadecimal digits of a sha256 digest, which are safe as a file name."""
    if not _DIGEST.fullmatch(digest):
        raise UnsafeImageError(f"{digest[:100]!r} is no sha256 digest.", next_step="Name the image by sha256:….")
    return digest.removeprefix("sha256:")


def canonical(value: object) -> bytes:
    """JSON with one spelling per value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def missing(digest: str) -> ImageError:
    """The error for a blob that is not there."""
    return ImageError(f"{digest} is not in the image layout.", next_step="Build or fetch the image again.")


def tampered(digest: str) -> UnsafeImageError:
    """The error for a blob that is not what its name says."""
    return UnsafeImageError(
        f"The content of {digest} does not match its digest.",
        why="It was damaged or changed after it was built.",
        next_step="Delete that blob and build the image again; if nobody can explain it, treat it as an incident.",
    )


@contextmanager
def enough_space(where: Path) -> Iterator[None]:
    """Turn a full disk into an error that says which one."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise NoSpaceError(
            f"No space is left on the disk of {where}.",
            why="Nothing half-written was kept; released versions are not affected.",
            next_step="Free some space there, then release again.",
        ) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock between processes; the system lets go of it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class _Hashing:
    def __init__(self, stream: BinaryIO) -> None:
        self.sha256 = hashlib.sha256()
        self.size = 0
        self._stream = stream

    def write(self, data: bytes, /) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self._stream.write(data)
