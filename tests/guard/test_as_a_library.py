"""`pip install prodsprints` alone is enough for the guard: no database, no extra, and the tutorial runs as written."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "guard-your-calls.md"
EXTRAS = "## 7. If you use httpx or boto3"


def blocks(text: str) -> str:
    return "\n\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


def needed(name: str) -> set[str]:
    """The distributions that `name` needs without any extra, itself left out."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for stated in importlib.metadata.requires(waiting.pop()) or ():
            requirement = Requirement(stated)
            if (requirement.marker is None or requirement.marker.evaluate({"extra": ""})) and (
                requirement.name not in found
            ):
                found.add(requirement.name)
                waiting.append(requirement.name)
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with our wheel and its base dependencies, as an index would give them, and nothing else."""
    place = tmp_path_factory.mktemp("library")
    source = place / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)], cwd=source)
    run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")])
    made = place / "venv" / "bin" / "python"
    here = Path(sysconfig.get_path("purelib"))
    there = Path(run([str(made), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    for name in needed("prodsprints"):
        for file in importlib.metadata.files(name) or ():
            origin = Path(str(file.locate()))
            if origin.is_relative_to(here) and origin.is_file():
                target = there / origin.relative_to(here)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(origin, target)
    [wheel] = place.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(made), "--disable-pip-version-check", "install", "--quiet"]
    run([*pip, "--no-index", "--no-deps", "--no-compile", str(wheel)])
    return made


def run(command: list[str], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_the_tutorial_runs_with_nothing_but_the_base_package(python: Path, tmp_path: Path) -> None:
    script = tmp_path / "tutorial.py"
    script.write_text(blocks(TUTORIAL.read_text().partition(EXTRAS)[0]) + "\nserver.shutdown()\n")
    said = run([str(python), "-I", str(script)], cwd=tmp_path)
    assert "bare: HTTP Error 429" in said and said.count("guarded: the answer") == 5
    assert "20 calls, 5 requests. The provider is not called now" in said


def test_neither_a_database_nor_a_client_library_is_there(python: Path) -> None:
    absent = ("psycopg", "sqlalchemy", "fastapi", "httpx", "botocore", "aiohttp", "dbos")
    check = f"import importlib.util as u, prodsprints.guard; print([m for m in {absent!r} if u.find_spec(m)])"
    assert run([str(python), "-I", "-c", check]).strip() == "[]"


def test_a_transport_without_its_library_says_which_one_is_missing(python: Path) -> None:
    done = subprocess.run(
        [str(python), "-I", "-c", "import prodsprints.guard.transports.httpx"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0 and "No module named 'httpx'" in done.stderr


def test_the_profiles_come_with_the_wheel(python: Path) -> None:
    said = run(
        [str(python), "-I", "-c", "from prodsprints.guard import Guard; print(Guard.for_provider('slack').name)"]
    )
    assert said.strip() == "slack"


def test_every_block_of_the_tutorial_runs_where_httpx_is_installed(tmp_path: Path) -> None:
    script = tmp_path / "tutorial.py"
    script.write_text(blocks(TUTORIAL.read_text()))
    assert run([sys.executable, str(script)], cwd=tmp_path).count("httpx: the answer") == 5
