"""The documents: each command in them runs, the reference is what the commands say, and no file names an index."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
SERVING = {"up", "worker", "node", "web"}  # run by tests/end_to_end/


def commands() -> list[tuple[str, list[str]]]:
    """Every `prodsprints …` line of every page, without the part that says where it is installed."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].endswith("prodsprints"):
                    found.append((page.name, words[1:]))
    return found


@pytest.mark.parametrize(
    ("page", "words"), [pytest.param(*one, id=f"{one[0]}: {' '.join(one[1])}") for one in commands()]
)
def test_a_command_in_the_documents_runs(
    page: str, words: list[str], platform: Any, repository: Path, type_: Callable[..., Any]
) -> None:
    if words[0] in SERVING:
        words = [words[0], "--help"]
    assert type_(*(word.replace("~/app", str(repository)) for word in words)).code == 0


def test_the_reference_of_the_command_line_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/cli_reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "docs" / "dependencies.md"], ids=lambda page: page.name
)
def test_a_link_in_the_documents_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_runtime_dependency_is_explained() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert [name for one in named if (name := re.split(r"[\[<>=; ]", one)[0]) not in page] == []


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt"])
def test_a_lock_pins_each_file_by_hash_and_names_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if entry.strip()]
    assert entries
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "index" not in text


def test_what_runs_is_the_same_with_and_without_what_tests() -> None:
    pins = [
        set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / lock).read_text(encoding="utf-8"), re.MULTILINE))
        for lock in ("run.txt", "dev.txt")
    ]
    assert pins[0] <= pins[1]
