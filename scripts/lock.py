"""Writes requirements/*.txt: every version pinned, every file by its hash, for every platform, and no index named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_REQUIREMENTS = Path("requirements")
_OPTIONS = (
    "--universal", "--python-version", "3.11", "--generate-hashes", "--only-binary", ":all:", "--no-emit-index-url",
    "--no-header", "--no-annotate", "--upgrade", "--quiet",
)  # fmt: skip
_EXTRAS = ("server", "telemetry", "embedded", "drills")
_RUN = ("pyproject.toml", "requirements/build.in", *(word for extra in _EXTRAS for word in ("--extra", extra)))


def main() -> int:
    """Resolve what runs, then what tests on top of exactly that."""
    run, dev = _REQUIREMENTS / "run.txt", _REQUIREMENTS / "dev.txt"
    compile_(*_RUN, "--output-file", str(run))
    compile_(*_RUN, "--extra", "bench", "--group", "dev", "--constraints", str(run), "--output-file", str(dev))
    return 0


def compile_(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", "pip", "compile", *_OPTIONS, *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
