"""Repositories that mean harm, or are merely broken: an answer or one of our errors, within bounds."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.release.audit import audit, files
from prodsprints.release.errors import NothingToAuditError

PARSED = [
    "requirements.txt", "pyproject.toml", "Pipfile", "Pipfile.lock", "setup.cfg", "setup.py", "uv.lock", "poetry.lock",
    ".python-version", "runtime.txt", "Procfile", "app.py", "manage.py", "wsgi.py", "Dockerfile", "package.json",
    "alembic.ini", ".gitattributes", "pytest.ini",
]  # fmt: skip
WORDS = [
    "\n[project]",
    "dependencies",
    "=",
    "[",
    "]",
    '"flask"',
    "{",
    "}",
    "[tool.poetry.dependencies]",
    "python",
    "^",
    "'1.0'",
    "flask",
    "from",
    "import",
    "fastapi",
    "FastAPI",
    "app\nFastAPI()",
    "def",
    "create_app():",
    "return",
    "(",
    ")",
    "@app.get('/health')",
    "-r",
    "requirements.txt",
    "web:",
    "$PORT",
    "${",
    "&&",
    "#",
    "\\",
    "0x",
    "[options]\ninstall_requires",
    ":",
    "\x00",
    "\ufeff",
    "é",
    "extras",
    "group",
    "path('",
    "include(",
    "~",
    ",",
    "\n",
    "\t\n",
]
GRAMMAR = st.lists(st.sampled_from(WORDS), max_size=40).map(lambda words: " ".join(words).encode())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.dictionaries(st.sampled_from(PARSED), st.binary(max_size=300) | GRAMMAR, min_size=1, max_size=6))
def test_arbitrary_bytes_in_any_parsed_file_raise_nothing_but_our_errors(tmp_path_factory, contents):
    root = tmp_path_factory.mktemp("fuzz")
    for name, content in contents.items():
        (root / name).write_bytes(content)
    try:
        found = audit(root)
    except ProdSprintsError:
        return
    found.as_json()
    assert (found.application is None) == bool(found.refusals)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("app.py", b"(" * 100_000),
        ("app.py", b"x = " + b"-" * 50_000 + b"1"),
        ("app.py", b"a" + b".b" * 40_000),
        ("app.py", b'from flask import Flask\napp = Flask("\xff\xfe")\n'),
        ("app.py", b"\x00"),
        ("pyproject.toml", b"a = " + b"[" * 100_000),
        ("pyproject.toml", b"a = " + b"9" * 10_000),
        ("Pipfile.lock", b"[" * 100_000),
        ("uv.lock", b"package = 3"),
        ("pyproject.toml", b'[project]\ndependencies = "flask"\nname = 3\n[tool]\npoetry = []\n'),
        ("pyproject.toml", b"[tool.poetry.dependencies]\nflask = {version = 3, extras = [[]], python = 7}\n"),
        ("requirements.txt", b"-r requirements.txt\n-r ../../../../etc/passwd\n"),
        ("setup.cfg", b"[options]\n  continued\n=\n[options]\n"),
    ],
)
def test_malformed_and_deeply_nested_files_are_survived(laid_out, name, content):
    root = laid_out({name: content, "requirements.txt": "flask\n"} if name != "requirements.txt" else {name: content})
    assert audit(root).application is None


def test_links_are_not_followed_out_of_the_repository_nor_round_in_circles(laid_out, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    root = laid_out({"requirements.txt": "flask\n", "real.py": "x = 1\n"})
    (root / "app.py").symlink_to(outside / "app.py")
    (root / "folder").symlink_to(outside)
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to(".")
    (root / "inside.py").symlink_to("real.py")
    os.mkfifo(root / "main.py")
    names = files.Files(root).names
    assert set(names) == {"requirements.txt", "real.py", "inside.py"}
    assert audit(root).refusals[0].key == "app"


def test_huge_deep_and_many_files_stay_within_the_bounds(laid_out, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILES", 200)
    root = laid_out({"requirements.txt": "flask\n", "app.py": "from flask import Flask\napp = Flask(__name__)\n"})
    with (root / "big.py").open("wb") as stream:
        stream.truncate(3 * 1024**3)
    (root / Path(*["d"] * 60)).mkdir(parents=True)
    (root / Path(*["d"] * 60) / "deep.py").touch()
    (root / "zz").mkdir()
    for number in range(300):
        (root / "zz" / f"{number}.py").touch()
    began = time.monotonic()
    found = audit(root)
    assert time.monotonic() - began < 5
    assert found.application.web[-1] == "app:app"
    keys = {(finding.key, finding.value) for finding in found.findings}
    assert ("bounds", "not everything was read") in keys
    assert ("unreadable", "big.py") in keys


def test_names_that_are_not_text_are_left_aside(laid_out):
    root = laid_out({"requirements.txt": "flask\n"})
    (root / "line\nbreak.py").touch()
    (root / os.fsdecode(b"\xff.py")).touch()
    assert files.Files(root).names == ("requirements.txt",)


def test_a_path_that_is_no_directory_is_refused(tmp_path):
    with pytest.raises(NothingToAuditError):
        audit(tmp_path / "nowhere")
