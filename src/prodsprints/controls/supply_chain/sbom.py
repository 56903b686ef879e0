"""A bill of materials that everybody can read: CycloneDX 1.6, the same bytes for the same image."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

_NAMESPACE = uuid.UUID("6f0c7ec6-9d6a-5f0e-8d3a-3f1f0f9b7c55")
_MAX_LICENCE_LENGTH = 100  # some packages state the whole text


@dataclass(frozen=True)
class Material:
    """One package that an image holds; `licence` and `sha256` (of the archive it came from) where they are known."""

    name: str
    version: str
    licence: str = ""
    sha256: str = ""


def document(materials: Sequence[Material], *, name: str, version: str, digest: str, created: datetime) -> bytes:
    """The bill of materials of the image `digest` of application `name`, as CycloneDX JSON.

    Nothing in it comes from the clock or from chance: the serial number is derived from `digest`.
    """
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))]
    subject = Component(
        type=ComponentType.CONTAINER,
        name=name,
        version=version,
        bom_ref=digest,
        hashes=hashes,
        purl=PackageURL("oci", None, canonicalize_name(name), digest),
    )
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, digest),
        metadata=BomMetaData(timestamp=created, component=subject),
    )
    components = [
        _component(material) for material in sorted(set(materials), key=lambda item: (item.name, item.version))
    ]
    bom.components.update(components)
    bom.register_dependency(subject, components)
    return JsonV1Dot6(bom).output_as_string(indent=2).encode() + b"\n"


def _component(material: Material) -> Component:
    purl = PackageURL("pypi", None, canonicalize_name(material.name), material.version)
    licence = " ".join(material.licence.split())
    return Component(
        type=ComponentType.LIBRARY,
        name=material.name,
        version=material.version,
        bom_ref=purl.to_string(),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=material.sha256)] if material.sha256 else [],
        licenses=[LicenseFactory().make_from_string(licence)] if 0 < len(licence) <= _MAX_LICENCE_LENGTH else [],
    )
