"""The keyring: the private keys of this home's logs, one file per tenant below `secrets/keys`, closed to others."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from prodsprints.kernel import files
from prodsprints.ledger.envelope import Envelope, pre_authentication_encoding
from prodsprints.ledger.errors import BundleError, KeyExposedError, KeyFileError, KeyLostError
from prodsprints.ledger.keys import Key, Keys, Role

_MAX_FILE_BYTES = 1_048_576


@dataclass(frozen=True)
class Signer:
    """The private keys of one log as they are now; hold it no longer than `Keyring.speaking` lends it."""

    keys: Keys
    private: dict[str, Ed25519PrivateKey]

    def current(self, role: Role) -> Key:
        """The key that speaks for `role`, and whose private part is here. Raises KeyLostError."""
        key = self.keys.current(role)
        if key is None or key.id not in self.private:
            raise KeyLostError(
                f"The private key of the role {role} is not in this home.",
                why=f"The log of tenant {self.keys.tenant_id} was begun with it.",
                next_step="Copy secrets/keys from the home that has it, or from its backup.",
            )
        return key

    def sign(self, role: Role, message: bytes) -> tuple[Key, bytes]:
        """The current key of `role` and its signature. Raises KeyLostError."""
        key = self.current(role)
        return key, self.private[key.id].sign(message)

    def envelope(self, role: Role, payload: bytes) -> Envelope:
        """`payload` signed in the name of `role`. Raises KeyLostError."""
        key, signature = self.sign(role, pre_authentication_encoding(payload))
        return Envelope(payload, key.id, signature)


class Keyring:
    """All keys of one home. Every tenant's log has keys of its own: one tenant's evidence is foreign in another's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._prefix = f"{directory}{os.sep}"  # on the way of every append, where a Path would be half of the work
        self._cached: dict[UUID, tuple[tuple[int, int], Signer]] = {}

    @staticmethod
    def open(home: Path) -> Keyring:
        """The keyring of `home`. Raises KeyExposedError when others could read or replace what is in it."""
        directory = home / "secrets" / "keys"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _unusable(directory, error) from None
        keyring = Keyring(directory)
        _refuse_exposed(directory, directory.stat())
        return keyring

    def keys(self, tenant_id: UUID) -> Keys:
        """The public keys of the tenant's log. Raises KeyLostError, KeyExposedError, KeyFileError."""
        return self.signer(tenant_id).keys

    def has(self, tenant_id: UUID) -> bool:
        """Whether there are keys for the tenant's log in this home."""
        return tenant_id in self._cached or self._file(tenant_id).exists()

    def create(self, tenant_id: UUID) -> bool:
        """Make the first keys of a log that nobody has written to yet. False when they were there already."""
        with self._locked(tenant_id, fcntl.LOCK_EX):
            if self.has(tenant_id):
                return False
            private = [Ed25519PrivateKey.generate() for _ in Role]
            made = zip(Role, private, strict=True)
            keys = [Key.of(role, one.public_key().public_bytes_raw(), from_index=0) for role, one in made]
            self._write(Signer(Keys(tenant_id, tuple(keys)), dict(zip((key.id for key in keys), private, strict=True))))
            return True

    def signer(self, tenant_id: UUID) -> Signer:
        """The keys of the tenant's log, as its file has them. Raises KeyLostError, KeyExposedError, KeyFileError."""
        try:
            found = os.lstat(f"{self._prefix}{tenant_id}.json")
        except FileNotFoundError:
            raise KeyLostError(
                f"This home has no keys for the log of tenant {tenant_id}.",
                why=f"{self._file(tenant_id)} is not there.",
                next_step="Copy secrets/keys from the home that began the log, or from its backup.",
            ) from None
        except OSError as error:
            raise _unusable(self._file(tenant_id), error) from None
        version = (found.st_mtime_ns, found.st_ino)
        cached = self._cached.get(tenant_id)
        if cached is not None and cached[0] == version and not found.st_mode & 0o077:
            return cached[1]
        path = self._file(tenant_id)
        _refuse_exposed(path, found)
        signer = _read(path, tenant_id)
        self._cached[tenant_id] = (version, signer)
        return signer

    @contextmanager
    def speaking(self, tenant_id: UUID) -> Iterator[Signer]:
        """The keys, which are not rotated before the caller has stored what it signed with them."""
        with self._locked(tenant_id, fcntl.LOCK_SH):
            yield self.signer(tenant_id)

    @contextmanager
    def silent(self, tenant_id: UUID) -> Iterator[None]:
        """Nobody in this home signs a statement for the tenant's log meanwhile: for a rotation."""
        with self._locked(tenant_id, fcntl.LOCK_EX):
            yield

    def replace(self, tenant_id: UUID, old: Key, new: Ed25519PrivateKey, *, at: int) -> Key:
        """From index `at` on, `new` speaks in the place of `old`; call it while the log is `silent`."""
        signer = self.signer(tenant_id)
        key = Key.of(old.role, new.public_key().public_bytes_raw(), from_index=at)
        ended = tuple(replace(one, until_index=at - 1) if one.id == old.id else one for one in signer.keys.keys)
        private = {id: one for id, one in signer.private.items() if id != old.id}
        self._write(Signer(Keys(tenant_id, (*ended, key)), {**private, key.id: new}))
        return key

    def revoke(self, tenant_id: UUID, id: str, *, from_index: int) -> None:
        """From now on nothing is believed that key `id` signed at `from_index` or later."""
        signer = self.signer(tenant_id)
        keys = tuple(replace(one, revoked=from_index) if one.id == id else one for one in signer.keys.keys)
        self._write(Signer(Keys(tenant_id, keys), signer.private))

    def _file(self, tenant_id: UUID) -> Path:
        return self._directory / f"{tenant_id}.json"

    @contextmanager
    def _locked(self, tenant_id: UUID, how: int) -> Iterator[None]:
        path = f"{self._prefix}{tenant_id}.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(Path(path), error) from None
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def _write(self, signer: Signer) -> None:
        path = self._file(signer.keys.tenant_id)
        document = {
            "schema": 1,
            "tenant": str(signer.keys.tenant_id),
            "keys": [{**key.as_json(), "private": _encoded(signer.private.get(key.id))} for key in signer.keys.keys],
        }
        try:
            files.replace(path, json.dumps(document, indent=1).encode())
        except OSError as error:
            raise _unusable(path, error) from None


def _read(path: Path, tenant_id: UUID) -> Signer:
    try:
        with path.open("rb") as stream:
            document = json.loads(stream.read(_MAX_FILE_BYTES))
        if document["schema"] != 1 or document["tenant"] != str(tenant_id):
            raise ValueError("it was made for another log")
        keys = Keys.from_json(tenant_id, document["keys"])
        private = {
            key.id: Ed25519PrivateKey.from_private_bytes(base64.b64decode(one["private"], validate=True))
            for key, one in zip(keys.keys, document["keys"], strict=True)
            if one["private"] is not None
        }
        if any(one.public_key().public_bytes_raw() != _public(keys, id) for id, one in private.items()):
            raise ValueError("a private key in it does not belong to its public one")
    except OSError as error:
        raise _unusable(path, error) from None
    except (ValueError, KeyError, TypeError, RecursionError, BundleError):
        raise KeyFileError(  # without the reason's text, which could quote the file
            f"{path} does not hold the keys of this log.",
            why="It is damaged, or was made for another tenant.",
            next_step="Restore it from a backup of secrets/keys.",
        ) from None
    return Signer(keys, private)


def _public(keys: Keys, id: str) -> bytes:
    key = keys.find(id)
    return b"" if key is None else key.public


def _encoded(private: Ed25519PrivateKey | None) -> Any:
    return None if private is None else base64.b64encode(private.private_bytes_raw()).decode()


def _refuse_exposed(path: Path, found: os.stat_result) -> None:
    if found.st_mode & 0o077 or stat.S_ISLNK(found.st_mode):
        raise KeyExposedError(
            f"{path} is open to others than its owner.",
            why="Whoever could read it could have signed evidence, so that nothing it signs proves anything.",
            next_step=f"Run `chmod go= {path}`; if others were on this machine, rotate the keys as well.",
        )
    if found.st_uid != os.geteuid():
        raise KeyExposedError(
            f"{path} belongs to another user (uid {found.st_uid}).",
            why="Its owner could replace the keys.",
            next_step=f"Run as that user, or take it over: chown {os.geteuid()} {path}",
        )


def _unusable(path: Path, error: OSError) -> KeyFileError:
    return KeyFileError(
        f"{path} cannot be used: {error.strerror}.", next_step="Make it a place that you may read and write."
    )
