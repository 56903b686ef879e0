from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from prodsprints.release.image.dependencies import SERVERS, Dependencies, collect
from prodsprints.release.image.errors import DependencyError
from prodsprints.release.image.poetry import requirement


def collected(tree: Path, pyproject: str, *names: str, **files: str) -> Dependencies:
    (tree / "pyproject.toml").write_text(pyproject)
    for name, text in files.items():
        (tree / name.replace("_", ".")).write_text(text)
    return collect(tree, names or ("pyproject",))


def test_the_projects_own_table_is_read(tmp_path: Path) -> None:
    found = collected(tmp_path, '[project]\ndependencies = ["flask>=3", "x[y]; python_version > \'3\'"]\n')
    assert found.specifiers == ("flask>=3", 'x[y]; python_version > "3"')


def test_extras_and_groups_are_read_with_what_they_include(tmp_path: Path) -> None:
    table = (
        '[project.optional-dependencies]\nTest_Tools = ["pytest"]\n'
        '[dependency-groups]\ndev = ["ruff", {include-group = "lint"}]\nlint = ["mypy"]\n'
    )
    assert collected(tmp_path, table, "extra:test-tools", "group:dev").specifiers == ("pytest", "ruff", "mypy")


def test_a_circle_of_groups_is_refused(tmp_path: Path) -> None:
    table = '[dependency-groups]\na = [{include-group = "b"}]\nb = [{include-group = "a"}]\n'
    with pytest.raises(DependencyError, match="includes itself"):
        collected(tmp_path, table, "group:a")


def test_dependencies_that_setuptools_reads_from_a_file_are_found(tmp_path: Path) -> None:
    table = '[project]\ndynamic = ["dependencies"]\n[tool.setuptools.dynamic]\ndependencies = {file = ["base.txt"]}\n'
    found = collected(tmp_path, table, base_txt="flask\n")
    assert found.roots == ("base.txt",)


def test_what_only_a_build_can_tell_is_left_to_the_build(tmp_path: Path) -> None:
    found = collected(tmp_path, '[project]\ndynamic = ["dependencies"]\n')
    assert found.specifiers == (".",)
    assert found.needs_tree


def test_the_application_in_its_own_requirements_stands_for_its_table(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-e .[web]\nredis\n")
    table = '[project]\ndependencies = ["flask"]\n[project.optional-dependencies]\nweb = ["gunicorn"]\n'
    found = collected(tmp_path, table, "requirements.txt")
    assert found.specifiers == ("flask", "gunicorn")
    assert found.files == {"requirements.txt": "redis\n"}
    assert not found.needs_tree


def test_included_and_constraint_files_count_for_the_key(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r base.in\n-c pins.in\n")
    (tmp_path / "base.in").write_text("flask\n")
    (tmp_path / "pins.in").write_text("flask==3.0\n")
    first = collect(tmp_path, ("requirements.txt",))
    assert set(first.files) == {"requirements.txt", "base.in", "pins.in"}
    (tmp_path / "pins.in").write_text("flask==3.1\n")
    assert collect(tmp_path, ("requirements.txt",)).key() != first.key()


@pytest.mark.parametrize("lock", ["uv.lock", "poetry.lock"])
def test_a_lock_file_fixes_the_versions(tmp_path: Path, lock: str) -> None:
    (tmp_path / lock).write_text(
        '[[package]]\nname = "Flask"\nversion = "3.0.1"\nsource = { registry = "x" }\n'
        '[[package]]\nname = "forked"\nversion = "1.0"\n[[package]]\nname = "forked"\nversion = "2.0"\n'
        '[[package]]\nname = "me"\nversion = "0"\nsource = { editable = "." }\n'
    )
    assert collected(tmp_path, '[project]\ndependencies = ["flask"]\n').constraints == ("flask==3.0.1",)


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ("^1.2.3", "x<2,>=1.2.3"),
        ("^0.2.3", "x<0.3,>=0.2.3"),
        ("^0.0.3", "x<0.0.4,>=0.0.3"),
        ("^0", "x<1,>=0"),
        ("~1.2.3", "x<1.3,>=1.2.3"),
        ("~1", "x<2,>=1"),
        ("1.2.*", "x==1.2.*"),
        ("1.2.3", "x==1.2.3"),
        (">=1, <3", "x<3,>=1"),
        ("~=1.4", "x~=1.4"),
        ("*", "x"),
        ({"version": "^2", "extras": ["a", "b"]}, "x[a,b]<3,>=2"),
        ({"version": "*", "python": ">=3.9"}, 'x; python_version >= "3.9"'),
        ({"git": "https://forge.invalid/x", "tag": "v1"}, "x@ git+https://forge.invalid/x@v1"),
        ({"path": "libs/x"}, "./libs/x"),
    ],
)
def test_poetrys_notation_means_what_poetry_means_by_it(stated: object, meant: str) -> None:
    (found,) = requirement("x", stated)  # type: ignore[arg-type]
    assert found.replace(" @", "@") == meant


def test_an_optional_dependency_of_poetry_is_left_to_its_extra() -> None:
    assert requirement("x", {"version": "1", "optional": True}) == []


@given(st.text(max_size=30))
def test_a_version_that_nobody_understands_is_refused_in_words(text: str) -> None:
    try:
        for found in requirement("x", text):
            Requirement(found)
    except DependencyError as error:
        assert error.next_step


@pytest.mark.parametrize("text", ["[project", "[[package]]\nname=1", "\x00"])
def test_a_broken_table_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    if text.startswith("[["):
        assert collect(tmp_path, ("pyproject",)).specifiers == (".",)
    else:
        with pytest.raises(DependencyError, match=r"pyproject\.toml"):
            collect(tmp_path, ("pyproject",))


def test_every_server_is_pinned_exactly() -> None:
    assert all(str(Requirement(text).specifier).startswith("==") for text in SERVERS.values())


def test_a_server_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="hypercorn"):
        collect(tmp_path, (), ("hypercorn",))
