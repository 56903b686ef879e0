"""The gate that leaves a bill of materials beside every image."""

from __future__ import annotations

import time
from pathlib import Path

from prodsprints.controls.supply_chain import sbom
from prodsprints.kernel import files
from prodsprints.release.gates.result import GateFinding, GateResult
from prodsprints.release.image.build import Image
from prodsprints.release.image.contents import packages
from prodsprints.release.image.layout import enough_space, hex_of
from prodsprints.release.source import Source


def check(layout: Path, image: Image, *, name: str, source: Source) -> GateResult:
    """Write the image's bill of materials to `bill_path`; packages that state no licence are pointed out."""
    started = time.monotonic()
    materials = packages(layout, image.digest)
    content = sbom.document(materials, name=name, version=source.label, digest=image.digest, created=source.commit_time)
    path = bill_path(layout, image.digest)
    with enough_space(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, content, mode=0o644)
    unknown = [GateFinding(f"{item.name} {item.version} states no licence") for item in materials if not item.licence]
    return GateResult(
        passed=True,
        summary=f"{len(materials)} packages, {len(unknown) or 'none'} of them without a stated licence.",
        findings=tuple(unknown),
        seconds=time.monotonic() - started,
    )


def bill_path(layout: Path, digest: str) -> Path:
    """Where the bill of materials of the image `digest` is."""
    return layout / "sboms" / f"{hex_of(digest)}.json"
