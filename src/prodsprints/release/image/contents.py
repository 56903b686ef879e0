"""Which packages an image holds, read from its layers as they are stored; for the bill of materials."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name

from prodsprints.controls.supply_chain.sbom import Material
from prodsprints.release.image.build import PACKAGES
from prodsprints.release.image.layout import Layout

_METADATA = re.compile(rf"{PACKAGES}/site-packages/[^/]+\.dist-info/METADATA")
_ARCHIVES = f"{PACKAGES}/archives.json"
_MAX_METADATA_BYTES = 4 * 1024**2
_CLASSIFIER = "License :: "


def packages(layout: Path, digest: str) -> tuple[Material, ...]:
    """The installed distributions of the image `digest`, by name. Raises an ImageError if it is not there."""
    store = Layout(layout)
    found: list[Message] = []
    archives: dict[str, Mapping[str, str]] = {}
    for layer in store.document(digest)["layers"]:
        with tarfile.open(store.blob(layer["digest"]), "r:") as archive:
            for member in archive:
                if not member.isreg() or not (member.name == _ARCHIVES or _METADATA.fullmatch(member.name)):
                    continue
                stream = archive.extractfile(member)
                content = stream.read(_MAX_METADATA_BYTES) if stream else b""
                if member.name == _ARCHIVES:
                    archives = {canonicalize_name(name): entry for name, entry in json.loads(content).items()}
                else:
                    found.append(HeaderParser().parsestr(content.decode("utf-8", "replace")))
    return tuple(sorted((_material(metadata, archives) for metadata in found), key=lambda item: item.name))


def _material(metadata: Message, archives: Mapping[str, Mapping[str, str]]) -> Material:
    name, version = str(metadata["Name"]), str(metadata["Version"])
    archive = archives.get(canonicalize_name(name), {})
    known = archive.get("sha256", "") if archive.get("version") == version else ""
    return Material(name, version, _licence(metadata), known)


def _licence(metadata: Message) -> str:
    if metadata["License-Expression"]:
        return str(metadata["License-Expression"])
    classifiers = [str(entry) for entry in metadata.get_all("Classifier", []) if str(entry).startswith(_CLASSIFIER)]
    stated = str(metadata["License"] or "")
    if stated and "\n" not in stated and stated != "UNKNOWN":
        return stated
    return classifiers[0].rpartition(" :: ")[2] if len(classifiers) == 1 else ""
