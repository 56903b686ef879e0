"""Has a Chromium for the pages' tests where apt and root are at hand; elsewhere says what is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 300


def main() -> int:
    """0 when there is one or may be none; 1 in CI without one, where its tests are mandatory."""
    if any(shutil.which(name) for name in _NAMES):
        return 0
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("Installing Chromium for the pages' tests (once) …", flush=True)
        if install():
            return 0
    print("No Chromium here: the tests marked `browser` are skipped by that name.", flush=True)
    return 1 if os.environ.get("CI") and shutil.which("apt-get") and os.geteuid() == 0 else 0


def install() -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = (
        ["apt-get", "-q", "update"],
        ["apt-get", "-q", "install", "--yes", "--no-install-recommends", "chromium"],
    )
    for command in commands:
        try:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        if done.returncode != 0:
            print(done.stderr.decode(errors="replace")[-500:], file=sys.stderr)
    return shutil.which("chromium") is not None


if __name__ == "__main__":
    sys.exit(main())
