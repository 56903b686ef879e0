"""One platform for a file of end-to-end tests, and the repositories they release."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from prodsprints.bench.scratch import scratch
from prodsprints.release.examples import lay_out_shop
from support_platform import MakeRepository, Platform


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with scratch() as ground:
        made = Platform(ground)
        try:
            made.start_worker()
            made.start_worker()
            yield made
        finally:
            made.end()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's repository, with the tags v1, v2 and v3."""
    return lay_out_shop(Path(__file__).parents[2] / "examples", tmp_path_factory.mktemp("shop"))


@pytest.fixture
def repository(tmp_path: Path) -> MakeRepository:
    """Makes a Git repository from files; called again with another tag, it adds a commit."""

    def make(tag: str, files: Mapping[str, str]) -> Path:
        top = tmp_path / "repository"
        if not top.exists():
            top.mkdir()
            git(top, "init", "--quiet")
        for name, content in files.items():
            (top / name).write_text(content)
        git(top, "add", "--all")
        git(top, "commit", "--quiet", "--allow-empty", "--message", tag)
        git(top, "tag", tag)
        return top

    return make


@pytest.fixture
def project() -> str:
    """A name of its own for each test: they share one platform."""
    return f"p-{uuid.uuid4().hex[:12]}"


def git(top: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=top, check=True, capture_output=True)
