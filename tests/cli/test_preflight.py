"""What `make` asks of a machine before it installs anything."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "preflight.py"


@pytest.fixture(scope="module")
def preflight() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_this_machine_passes(preflight: dict[str, Any]) -> None:
    assert preflight["main"]() == 0


@pytest.mark.parametrize(("version", "refused"), [((3, 10, 9), True), ((3, 11, 0), False), ((4, 0, 0), False)])
def test_an_old_python_is_refused(version: tuple[int, ...], refused: bool, preflight: dict[str, Any]) -> None:
    assert bool(list(preflight["python_problems"](version))) is refused


@pytest.mark.parametrize(
    ("libc", "version", "refused"),
    [
        ("glibc", "2.31", False),
        ("glibc", "2.36", False),
        ("glibc", "2.28", True),
        ("", "", True),
        ("musl", "1.2", True),
    ],
)
def test_an_old_or_other_libc_is_refused(libc: str, version: str, refused: bool, preflight: dict[str, Any]) -> None:
    assert bool(list(preflight["linux_problems"](libc, version))) is refused


@pytest.mark.parametrize(
    ("version", "machine", "refused"), [("15.0", "arm64", False), ("14.7", "arm64", True), ("15.1", "x86_64", True)]
)
def test_an_old_macos_is_refused(version: str, machine: str, refused: bool, preflight: dict[str, Any]) -> None:
    assert bool(list(preflight["macos_problems"](version, machine))) is refused
