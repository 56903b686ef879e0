"""Guarded functions keep their types, and mistakes with them are found before they run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_mypy_makes_of_guarded_functions_what_they_are(tmp_path: Path) -> None:
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path)),
            *("--python-version=3.11", "--follow-imports=silent", str(Path(__file__).with_name("typed_uses.py"))),
        ],
        env={"MYPYPATH": str(ROOT / "src"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
