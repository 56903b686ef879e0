"""What changes the control digest, and what does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from example_drills import resets

from prodsprints.drills import digest
from prodsprints.drills.catalog import Catalog, load
from prodsprints.drills.errors import ExperimentError, NoSuchDrillError

ENTRY = "example_drills:resets"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of two modules and a file."""
    place = tmp_path / "some_control"
    place.mkdir()
    (place / "__init__.py").write_text("")
    (place / "inner.py").write_text("import click\nX = 1\n")
    (place / "schema.sql").write_text("select 1;\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield place
    for name in [name for name in sys.modules if name.startswith("some_control")]:
        del sys.modules[name]


def _digest(*sources: str, **config: object) -> str:
    return digest.control(ENTRY, replace(resets, sources=sources), config)


def test_a_byte_of_a_source_changes_it_and_a_line_ending_does_not(package: Path) -> None:
    before = _digest("some_control.inner")
    (package / "inner.py").write_bytes(b"import click\r\nX = 1\r\n")
    assert _digest("some_control.inner") == before
    (package / "inner.py").write_bytes(b"import click\nX = 2\n")
    assert _digest("some_control.inner") != before


def test_a_package_stands_for_all_of_its_modules(package: Path) -> None:
    before = _digest("some_control")
    (package / "new.py").write_text("")
    assert _digest("some_control") != before


def test_a_file_beside_a_module_can_be_a_source(package: Path) -> None:
    before = _digest("some_control:schema.sql")
    (package / "schema.sql").write_text("select 2;\n")
    assert _digest("some_control:schema.sql") != before
    with pytest.raises(ExperimentError):
        _digest("some_control:not_there.sql")


def test_the_version_of_what_a_source_imports_changes_it(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _digest("some_control.inner")
    version = digest.importlib.metadata.version
    monkeypatch.setattr(digest.importlib.metadata, "version", lambda name: "99" if name == "click" else version(name))
    assert _digest("some_control.inner") != before


def test_the_configuration_changes_it_and_a_rotated_secret_does_not() -> None:
    catalog = Catalog.of({"X001.1": (ENTRY,)})

    def with_config(**config: object) -> str:
        return Catalog.of({"X001.1": (ENTRY,)}, config).digest(resets)

    assert with_config(attempts=5) != with_config(attempts=6)
    assert with_config(attempts=5) != catalog.digest(resets)
    assert with_config(provider={"api_key": "first-key"}) == with_config(provider={"api_key": "second-key"})


def test_a_name_that_leads_nowhere_says_so() -> None:
    for entry in ("example_drills", "example_drills:nothing", "no.such:thing", "example_drills:ENTRY", "json:dumps"):
        with pytest.raises(ExperimentError):
            load(entry)
    with pytest.raises(ExperimentError):
        _digest("no_such_module")


def test_a_row_without_drills_and_a_variant_that_it_has_not_say_so() -> None:
    catalog = Catalog.of({"X001.1": (ENTRY, "example_drills:throttled"), "X001.2": ()})
    assert catalog.find("X001.1").experiment.variant == "resets"
    assert catalog.find("X001.1", "throttled").entry == "example_drills:throttled"
    assert catalog.experiments("X001.2") == ()
    with pytest.raises(NoSuchDrillError, match="throttled"):
        catalog.find("X001.1", "other")
    with pytest.raises(NoSuchDrillError):
        catalog.find("X009.9")


def test_an_experiment_of_another_row_is_refused() -> None:
    with pytest.raises(ExperimentError, match=r"X001\.1"):
        Catalog.of({"X002.1": (ENTRY,)}).find("X002.1")


@pytest.mark.parametrize(
    "changes",
    [
        {"row": "R001"}, {"variant": "Not Like This"}, {"sources": ()}, {"sources": ("a/b",)}, {"named": "other"},
        {"steady": ()}, {"peers": ()}, {"limit_seconds": 0.0}, {"limit_seconds": float("nan")}, {"fault": ""},
        {"after": resets.steady},
    ],
)  # fmt: skip
def test_an_experiment_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ExperimentError):
        replace(resets, **changes)


def test_what_a_control_uses_is_bound_to_its_evidence_too(package: Path) -> None:
    one = replace(resets, sources=("json",), uses=("some_control.inner",))
    before = digest.control(ENTRY, one, {})
    (package / "inner.py").write_text("X = 3\n")
    assert digest.control(ENTRY, one, {}) != before


def test_what_an_experiment_stands_on_beside_it_is_part_of_it_and_the_control_is_not(package: Path) -> None:
    (package / "drills.py").write_text("from some_control import peers\nfrom some_control.inner import X\n")
    (package / "peers.py").write_text("Y = 1\n")
    experiment = replace(resets, sources=("some_control.inner",))

    def changed(name: str) -> bool:
        before = digest.experiment_sha256("some_control.drills:storm", experiment)
        (package / name).write_text((package / name).read_text() + "# another line\n")
        return digest.experiment_sha256("some_control.drills:storm", experiment) != before

    assert changed("drills.py")
    assert changed("peers.py")
    assert not changed("inner.py")
