"""Has what the tests need of the system, where apt and root are at hand; else says which tests are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_NEEDED = {
    "chromium": (("chromium", "chromium-browser", "google-chrome", "chrome"), "the tests marked `browser`"),
    "bubblewrap": (("bwrap",), "the tests of the sandbox inside bubblewrap"),
}
"""Debian's package; the programs of which one will do; what is skipped without it."""

_SECONDS = 300


def main() -> int:
    """0 when all is there or may be missing; 1 in CI without one, where its tests are mandatory."""
    apt = shutil.which("apt-get") is not None and os.geteuid() == 0
    lacking = [package for package in _NEEDED if not _is_there(package)]
    if lacking and apt:
        print(f"Installing {' and '.join(lacking)} for the tests (once) …", flush=True)
        install(lacking)
        lacking = [package for package in lacking if not _is_there(package)]
    for package in lacking:
        print(f"No {package} here: {_NEEDED[package][1]} are skipped by that name.", flush=True)
    return 1 if lacking and apt and os.environ.get("CI") else 0


def install(packages: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = (
        ["apt-get", "-q", "update"],
        ["apt-get", "-q", "install", "--yes", "--no-install-recommends", *packages],
    )
    for command in commands:
        try:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return
        if done.returncode != 0:
            print(done.stderr.decode(errors="replace")[-500:], file=sys.stderr)


def _is_there(package: str) -> bool:
    return any(shutil.which(name) for name in _NEEDED[package][0])


if __name__ == "__main__":
    sys.exit(main())
