"""Small applications, commits and packages of our own making, so that images are built without any network."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prodsprints.controls.providers.guards import Guards
from prodsprints.release.audit.values import Application
from prodsprints.release.image.build import Image, build
from prodsprints.release.image.install import _pip_of_its_own
from prodsprints.release.source import Source


def application(**changes: Any) -> Application:
    plain: dict[str, Any] = {
        "name": "shop", "framework": "flask", "web": ("python", "-m", "shop"), "health_path": "/", "health_any": True,
        "requires_python": "", "dependencies": ("requirements.txt",), "extra_packages": (), "migrate": (), "test": (),
        "test_packages": (), "needs_database": False, "environment": (),
    }  # fmt: skip
    return Application(**{**plain, **changes})


def commit(path: Path, *, commit: str = "a" * 40, label: str = "v1") -> Source:
    return Source(path, commit, label, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def wheel(
    directory: Path, name: str, version: str = "1.0", *, files: dict[str, str] | None = None, metadata: str = ""
) -> Path:
    """A wheel with one module, which says its version, and one console script."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    content = {
        f"{module}/__init__.py": f"__version__ = {version!r}\ndef main(): print({name!r}, __version__)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {module}:main\n",
        **(files or {}),
    }
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text.encode())}"
        for path, text in content.items()
    ]
    content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    path = directory / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in content.items():
            archive.writestr(zipfile.ZipInfo(entry, (2020, 1, 1, 0, 0, 0)), text)
    return path


@dataclass
class Workshop:
    """A place with wheels, a tree, a cache and a layout."""

    place: Path
    said: list[str] = field(default_factory=list)
    guards: Guards = field(default_factory=Guards)

    @property
    def wheels(self) -> Path:
        return self.place / "wheels"

    @property
    def tree(self) -> Path:
        return self.place / "tree"

    @property
    def layout(self) -> Path:
        return self.place / "images"

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def build(self, tree: Path | None = None, *, cache: str = "cache", layout: str = "images", **changes: Any) -> Image:
        tree = tree or self.tree
        return build(
            tree,
            application(**changes),
            source=commit(tree),
            layout=self.place / layout,
            cache=self.place / cache,
            guards=self.guards,
            on_line=self.said.append,
        )


@pytest.fixture(scope="session")
def installer() -> Iterator[Path]:
    """The copy of pip that a cache makes for itself; once for all tests, since it takes half a second."""
    store = Path(tempfile.mkdtemp(prefix="prodsprints-test-"))
    _pip_of_its_own(store)
    yield store
    shutil.rmtree(store)


@pytest.fixture
def workshop(place: Path, installer: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A workshop whose package index is a directory of wheels, and whose application needs one of them."""
    made = Workshop(place)
    for directory in (made.wheels, made.tree, place / "cache"):
        directory.mkdir()
    shutil.copytree(installer, place / "cache" / "dependencies", copy_function=os.link)
    (place / "cache" / "dependencies").chmod(0o755)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.wheels))
    wheel(made.wheels, "greeting")
    made.write(
        {
            "requirements.txt": "greeting\n",
            "shop/__init__.py": "",
            "shop/__main__.py": "import greeting, sys; print('serving', greeting.__version__)\n",
        }
    )
    return made
