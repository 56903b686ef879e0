"""From a digest to files: every byte is verified against it, then unpacked once and compiled, for the node to run."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prodsprints.release.image.build import PYTHON_LABEL
from prodsprints.release.image.errors import UnsafeImageError
from prodsprints.release.image.extract import extract, refuse_escaping_links
from prodsprints.release.image.interpreter import find
from prodsprints.release.image.layout import (
    CONFIG,
    LAYER,
    MANIFEST,
    Layout,
    canonical,
    enough_space,
    hex_of,
    locked,
    missing,
    tampered,
)
from prodsprints.runtime import sandbox, users

CONFIG_FILE = "config.json"  # the image's configuration, beside its root directory

_MAX_LAYERS = 32
_COMPILE_SECONDS = 120.0


def unpack(layout: Path, digest: str, target_root: Path) -> Path:
    """The root directory of the image `digest` below `target_root`, unpacked there unless it is already.

    Layers are unpacked once and shared by hard links between images. Safe against concurrent calls and kills.
    Raises UnsafeImageError if anything is not what its digest says or would not be safe to unpack, NoSpaceError.
    """
    final = target_root / hex_of(digest)
    with enough_space(target_root), locked(target_root / f".{final.name}.lock"):
        if not (final / CONFIG_FILE).exists():
            config, layers = _verified(Layout(layout), digest)
            work = Path(tempfile.mkdtemp(dir=target_root, prefix=".unpacking."))
            try:
                work.chmod(0o755)
                (work / "rootfs").mkdir()
                for layer in layers:
                    _overlay(_layer(Layout(layout), layer, target_root / "layers", _minor(config)), work / "rootfs")
                refuse_escaping_links(work / "rootfs")
                (work / CONFIG_FILE).write_bytes(canonical(config))
                work.rename(final)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return final / "rootfs"


def _verified(store: Layout, digest: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The image's configuration and layer descriptors, consistent with each other."""
    manifest = store.document(digest)
    try:
        described, layers = manifest["config"], manifest["layers"]
        kinds = {manifest["mediaType"]} == {MANIFEST} and described["mediaType"] == CONFIG
        config = store.document(described["digest"])
        consistent = (
            kinds
            and 0 < len(layers) <= _MAX_LAYERS
            and all(entry["mediaType"] == LAYER and isinstance(entry["size"], int) for entry in layers)
            and config["rootfs"]["diff_ids"] == [entry["digest"] for entry in layers]  # plain tar: the same digests
            and isinstance(config["config"]["Labels"][PYTHON_LABEL], str)
        )
    except (KeyError, TypeError, AttributeError):
        consistent = False
    if not consistent:
        raise UnsafeImageError(
            f"{digest} is no image that this builder makes.", next_step="Build it again from its commit."
        )
    return config, layers


def _minor(config: Mapping[str, Any]) -> str:
    return str(config["config"]["Labels"][PYTHON_LABEL])


def _layer(store: Layout, descriptor: Mapping[str, Any], layers: Path, minor: str) -> Path:
    """The directory that holds the unpacked and compiled layer."""
    digest = descriptor["digest"]
    final = layers / hex_of(digest)
    with locked(layers / f".{final.name}.lock"):
        if final.is_dir():
            return final
        work = Path(tempfile.mkdtemp(dir=layers, prefix="."))
        try:
            work.chmod(0o755)
            try:
                stream = store.blob(digest).open("rb")
            except FileNotFoundError:
                raise missing(digest) from None
            with stream:
                found = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
                if found != digest or stream.tell() != descriptor["size"]:
                    raise tampered(digest)
                stream.seek(0)
                extract(stream, work / "files")
            _compile(work / "files", minor)
            (work / "files").rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final


def _compile(files: Path, minor: str) -> None:
    """Add byte code for a quick start; what does not compile is left to fail where it is imported, if it ever is."""
    interpreter = find(f"=={minor}.*")
    user = users.unprivileged("compile")
    users.give(files, user)
    sandbox.run(
        [str(interpreter.executable), "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "."],
        cwd=files,
        env=sandbox.environment(),
        confinement=sandbox.Confinement(writable=(files,), readable=(interpreter.prefix,), user=user),
        timeout_seconds=_COMPILE_SECONDS,
        on_line=lambda _: None,
    )
    if user is not None:
        users.give(files, os.geteuid())


def _overlay(layer: Path, rootfs: Path) -> None:
    """Add a layer's files to `rootfs` by hard links. Our layers do not overlap, so one that does is refused."""
    for directory, names, files in os.walk(layer):
        here = rootfs / Path(directory).relative_to(layer)
        for name in (*names, *files):
            source, target = Path(directory, name), here / name
            try:
                if source.is_symlink():
                    target.symlink_to(source.readlink())
                elif source.is_dir():
                    target.mkdir(exist_ok=True)
                else:
                    os.link(source, target)
            except FileExistsError:
                raise UnsafeImageError(
                    f"Two layers of the image hold {target.relative_to(rootfs)}.",
                    next_step="Build it again from its commit.",
                ) from None
            if target.is_dir() and target.is_symlink() and not source.is_symlink():
                raise UnsafeImageError(
                    f"A layer would be written through the link {target.relative_to(rootfs)}.",
                    next_step="Build it again from its commit.",
                )
