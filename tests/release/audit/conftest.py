from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prodsprints.release.audit import Audit, audit

REPOSITORIES = Path(__file__).parents[2] / "fixtures" / "repos"


@pytest.fixture
def audited() -> Callable[[str], Audit]:
    """Audit a repository of tests/fixtures/repos by its name."""
    return lambda name: audit(REPOSITORIES / name)


@pytest.fixture
def laid_out(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Path]:
    """Write files below a fresh directory, and return it."""

    def write(files: dict[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write
