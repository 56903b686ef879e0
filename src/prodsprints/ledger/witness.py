"""The witness: checkpoints kept outside the database, where its owner cannot take them back."""

from __future__ import annotations

import fcntl
import hmac
import os
from pathlib import Path
from uuid import UUID

from prodsprints.kernel.settings import Settings
from prodsprints.ledger.checkpoint import MAX_NOTE_BYTES, Checkpoint, read_notes
from prodsprints.ledger.errors import BundleError, LedgerTamperedError, WitnessError
from prodsprints.ledger.git import WitnessRepository

_TAIL_BYTES = 3 * MAX_NOTE_BYTES
_END = b"\n\n"  # of a note and the empty line behind it
_SUFFIX = ".log"


class Witness:
    """Always a file per tenant below `<home>/witness`, and a Git repository where one is configured.

    Both only ever grow. The file takes every checkpoint, the repository the newest one whenever `publish` is called.
    """

    def __init__(self, directory: Path, repository: WitnessRepository | None = None) -> None:
        self._directory = directory
        self._repository = repository
        self._unpublished: dict[UUID, Checkpoint] = {}

    @staticmethod
    def open(settings: Settings) -> Witness:
        """The witness of this home. Raises WitnessError when its directory or its repository cannot be used."""
        directory = settings.home / "witness"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _unusable(directory, error) from None
        return Witness(directory, WitnessRepository.open(settings.witness) if settings.witness else None)

    @property
    def outside(self) -> bool:
        """Whether checkpoints go farther than this home."""
        return self._repository is not None

    def last(self, tenant_id: UUID) -> Checkpoint | None:
        """The newest checkpoint that either place has; its signature is for the reader to verify."""
        return max(self.seen(tenant_id), key=lambda one: one.size, default=None)

    def seen(self, tenant_id: UUID) -> tuple[Checkpoint, ...]:
        """The newest checkpoint of each place: what somebody wrote into the one takes nothing from the other."""
        found = (_last(self._file(tenant_id)), self.published(tenant_id))
        return tuple(one for one in found if one is not None)

    def published(self, tenant_id: UUID) -> Checkpoint | None:
        """The newest checkpoint that is known farther than in this home."""
        return None if self._repository is None else _parsed(self._repository.read(_name(tenant_id)))

    def record(self, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint; it is on disk when this returns. One that is older than the last is known already.

        Raises LedgerTamperedError when another root was recorded for the same size, WitnessError.
        """
        path = self._file(checkpoint.tenant_id)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # workers of one home share the file
                last = _last(path)
                if last is None or checkpoint.size > last.size:
                    _append(descriptor, path, checkpoint.note)
                elif checkpoint.size == last.size and not hmac.compare_digest(checkpoint.root, last.root):
                    raise LedgerTamperedError(
                        f"The log has another root at {checkpoint.size} than the witness.", kind="forked"
                    )
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unusable(path, error) from None
        if self._repository is not None:
            self._unpublished[checkpoint.tenant_id] = checkpoint

    def publish(self) -> None:
        """Commit what was recorded since the last time, where a repository is configured. Raises WitnessError."""
        if self._repository is not None and self._unpublished:
            newest = dict(self._unpublished)
            self._repository.commit({_name(tenant_id): one.note for tenant_id, one in newest.items()})
            self._unpublished = {id: one for id, one in self._unpublished.items() if newest.get(id) != one}

    def _file(self, tenant_id: UUID) -> Path:
        return self._directory / _name(tenant_id)


def _name(tenant_id: UUID) -> str:
    return f"{tenant_id}{_SUFFIX}"


def _append(descriptor: int, path: Path, note: str) -> None:
    # What a killed process wrote in part is closed off first, so that it cannot spoil the note behind it.
    size = os.fstat(descriptor).st_size
    torn = size > 0 and os.pread(descriptor, 2, max(0, size - 2)) != _END
    content = (_END if torn else b"") + note.encode() + b"\n"
    written = os.write(descriptor, content)
    if written != len(content):
        raise OSError(28, "No space left on device", str(path))
    os.fsync(descriptor)


def _last(path: Path) -> Checkpoint | None:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from None
    found = read_notes(tail)
    return found[-1] if found else None


def _parsed(note: str | None) -> Checkpoint | None:
    try:
        return None if note is None else Checkpoint.parse(note)
    except BundleError:
        return None


def _unusable(path: Path, error: OSError) -> WitnessError:
    return WitnessError(
        f"The witness cannot use {path}: {error.strerror}.",
        next_step="Make room and let it be written; until then nothing outside the database knows its checkpoints.",
    )
