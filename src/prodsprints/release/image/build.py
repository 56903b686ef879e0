"""From a commit's tree to an image in an OCI layout: the same commit and packages give the same digest anywhere."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prodsprints.controls.providers.guards import Guards
from prodsprints.kernel import files
from prodsprints.kernel.clock import iso
from prodsprints.release.audit.values import Application
from prodsprints.release.image import layer
from prodsprints.release.image.dependencies import collect
from prodsprints.release.image.errors import ImageError
from prodsprints.release.image.install import install
from prodsprints.release.image.interpreter import Interpreter, find
from prodsprints.release.image.layout import CONFIG, LAYER, MANIFEST, Descriptor, Layout, canonical, enough_space
from prodsprints.release.source import Source

# Where things are inside an image.
APPLICATION = "app"
PACKAGES = "usr/lib/prodsprints"

PYTHON_LABEL = "prodsprints.python"

# Dependencies are shared by many commits, so their files cannot have the time of one: 1980, the first that zip knows.
_DEPENDENCIES_MTIME = 315_532_800
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Image:
    """An image in a layout: `digest` is that of its manifest."""

    digest: str


def build(
    tree: Path,
    application: Application,
    *,
    source: Source,
    layout: Path,
    cache: Path,
    guards: Guards,
    on_line: Callable[[str], None],
    pulse: Callable[[], None] = lambda: None,
) -> Image:
    """Make the image of `application` from the exported `tree`, and list it in `layout`.

    One layer holds the dependencies, taken from `cache` when these, the interpreter and the platform are unchanged;
    the other the tree. Raises an ImageError: dependencies that cannot be read or installed, no interpreter, no space.
    """
    interpreter = find(application.requires_python)
    on_line(f"python: {interpreter.version} from {interpreter.executable}")
    store = Layout(layout)
    layers: list[Descriptor] = []
    dependencies = collect(tree, application.dependencies, application.extra_packages)
    if not dependencies.empty:
        installed = install(
            dependencies,
            tree=tree,
            interpreter=interpreter,
            cache=cache,
            name=application.name,
            guards=guards,
            on_line=on_line,
            pulse=pulse,
        )
        layers.append(_dependency_layer(store, installed))
    layers.append(_tree_layer(store, tree, int(source.commit_time.timestamp())))
    config = store.add_document(CONFIG, _config(application, source, interpreter, tree, layers))
    manifest = store.add_document(
        MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.document(),
            "layers": [entry.document() for entry in layers],
        },
    )
    store.register(manifest)
    size = sum(entry.size for entry in layers) / 1024**2
    on_line(f"image: {manifest.digest} ({len(layers)} layers, {size:.1f} MiB)")
    return Image(manifest.digest)


def _dependency_layer(store: Layout, installed: Path) -> Descriptor:
    note = installed.with_name(f"{installed.name}.layer.json")
    if note.exists():
        known = json.loads(note.read_bytes())
        if store.blob(known["digest"]).exists():
            return Descriptor(LAYER, known["digest"], known["size"])
    made = store.add(LAYER, lambda sink: layer.pack(installed, PACKAGES, sink, mtime=_DEPENDENCIES_MTIME))
    with enough_space(installed):
        files.replace(note, canonical({"digest": made.digest, "size": made.size}))
    return made


def _tree_layer(store: Layout, tree: Path, mtime: int) -> Descriptor:
    return store.add(LAYER, lambda sink: layer.pack(tree, APPLICATION, sink, mtime=mtime))


def _config(
    application: Application, source: Source, interpreter: Interpreter, tree: Path, layers: list[Descriptor]
) -> dict[str, object]:
    created = iso(source.commit_time)
    what = ["dependencies", "the commit's tree"][-len(layers) :]
    return {
        "created": created,
        "architecture": _architecture(),
        "os": sys.platform,
        "config": {
            "Env": [f"{name}={value}" for name, value in sorted(environment(application, tree).items())],
            "WorkingDir": f"/{APPLICATION}",
            "Cmd": list(application.web),
            "Labels": {
                "org.opencontainers.image.title": application.name,
                "org.opencontainers.image.revision": source.commit,
                "org.opencontainers.image.version": source.label,
                "org.opencontainers.image.created": created,
                PYTHON_LABEL: interpreter.minor,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [entry.digest for entry in layers]},
        "history": [{"created": created, "created_by": "prodsprints", "comment": comment} for comment in what],
    }


def environment(application: Application, tree: Path) -> dict[str, str]:
    """The application's own variables; PYTHONPATH in terms of the image, with its root first and `src` if there is one.

    Output is unbuffered, so that the last lines before a crash are in the log.
    """
    stated = dict(application.environment)
    folders = [part for part in stated.pop("PYTHONPATH", "").split(":") if part]
    if (tree / "src").is_dir() and not (tree / "src" / "__init__.py").exists():
        folders.append("src")
    for folder in folders:
        if not (tree / folder).resolve().is_relative_to(tree.resolve()):
            raise ImageError(
                f"PYTHONPATH names {folder!r}, which is outside the repository.", next_step="Use a path inside it."
            )
    inside = [str(Path("/", APPLICATION, folder)) for folder in (".", *folders)]
    return {"PYTHONPATH": ":".join(dict.fromkeys(inside)), "PYTHONUNBUFFERED": "1", **stated}


def _architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)
