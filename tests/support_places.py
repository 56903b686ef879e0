"""Directories that the unprivileged users of the sandbox can enter, which pytest's own below /tmp are not for root."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prodsprints.release.image import interpreter
from prodsprints.runtime import sandbox


@contextmanager
def enterable() -> Iterator[Path]:
    """A new directory that everybody may enter; gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="prodsprints-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new directory that everybody may enter, with the platform's home in it; gone afterwards."""
    with enterable() as path:
        monkeypatch.setenv("PRODSPRINTS_HOME", str(path / "home"))
        yield path


@pytest.fixture(params=["bubblewrap", "bare"])
def walls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each test twice: with bubblewrap, where it works, and as on a machine without it."""
    if request.param == "bare":
        monkeypatch.setattr(sandbox, "bubblewrap", lambda: None)
    elif sandbox.bubblewrap() is None:
        pytest.skip("no working bubblewrap here")
    interpreter._installed.cache_clear()
    yield request.param
    interpreter._installed.cache_clear()
